"""Stops a run whose metric has not become better for a number of validations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bakeoff.runs import Direction
from bakeoff.train.member import SessionMember, Validation


class EarlyStopping(SessionMember):
    """The rule of Lightning's `EarlyStopping` callback, for a run that any loop trains.

    A value counts as better if it beats the best one by more than `min_delta`. `should_stop` becomes true at the
    `patience`-th validation in a row without a better one.
    """

    def __init__(self, metric: str, direction: Direction, *, patience: int, min_delta: float) -> None:
        self._metric, self._sign = metric, 1.0 if direction == "max" else -1.0
        self._patience, self._min_delta = patience, min_delta
        self._best, self._waited = -math.inf, 0
        self.should_stop = False

    def validated(self, validation: Validation) -> None:
        """Counts the validations since the best one."""
        value = self._sign * validation.metrics[self._metric]
        if value - self._min_delta > self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        self.should_stop = self._waited >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """The best value and the validations since."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores both."""
        self._best, self._waited = state["best"], state["waited"]

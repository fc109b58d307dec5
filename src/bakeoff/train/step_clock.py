"""What a step stands for beside its number: samples seen, epochs, and seconds of training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bakeoff.data import DataSpec
from bakeoff.train.budget import samples_seen
from bakeoff.train.member import SessionMember


class StepClock(SessionMember):
    """Notes when each step ended; `at` gives the axes of a step at which a curve has a point.

    Seconds count from the start of training, validations included, and end with the step itself: points of a curve are
    fetched from the device some steps later, and a validation's own duration comes after its point. On a GPU a step
    has ended for this clock when it is in the queue. What the data does not tell is left out.
    """

    def __init__(self, spec: DataSpec, samples_per_step: int | str) -> None:
        self._spec, self._samples_per_step = spec, samples_per_step
        self._started = 0.0
        self._seconds_before = 0.0  # seconds of training before it was resumed
        self._ended: list[float] = []  # moments of the steps after `_given`
        self._given = 0

    def training_started(self) -> None:
        """Starts the clock."""
        self._started = time.monotonic() - self._seconds_before
        self._ended = [self._started + seconds for seconds in self._ended]

    def stepped(self, step: int) -> None:
        """Notes the moment."""
        self._ended.append(time.monotonic())

    def state_dict(self) -> dict[str, Any]:
        """The clock, and the steps at which no curve has had a point yet."""
        ended = [moment - self._started for moment in self._ended]
        return {"seconds": time.monotonic() - self._started, "given": self._given, "ended": ended}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores both; the clock starts again with the training."""
        self._seconds_before, self._given = state["seconds"], state["given"]
        self._ended = list(state["ended"])

    def at(self, step: int) -> dict[str, float]:
        """The axes at `step`, tag -> value; nothing at a step for which, or behind which, they were given before."""
        index = step - self._given - 1
        if not 0 <= index < len(self._ended):
            return {}
        seconds = self._ended[index] - self._started
        del self._ended[: index + 1]
        self._given = step
        return {**self._counted(step), "axis/seconds": seconds}

    def _counted(self, step: int) -> dict[str, float]:
        n_train, per_epoch = self._spec.n_train, self._spec.steps_per_epoch
        axes = {}
        if n_train is not None and per_epoch:
            axes["axis/samples"] = float(samples_seen(step, n_train, per_epoch, self._samples_per_step))
        if per_epoch:
            axes["axis/epochs"] = step / per_epoch
        return axes

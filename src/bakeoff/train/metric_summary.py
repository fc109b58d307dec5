"""Keeps the final and the best value of every metric of a run, as they are logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakeoff.runs import Direction, find_metric, is_better
from bakeoff.runs.metrics import SPLITS
from bakeoff.train.member import SessionMember

TRACKED = tuple(f"{split}/" for split in SPLITS)


class MetricSummary(SessionMember):
    """Name -> `final`, `best`, `best_step`.

    Test metrics have no best: test data chooses nothing. A user's own metric has none unless its direction is known:
    `directions` states it, name -> direction. A value that is not finite can be final but never best.
    """

    def __init__(self, directions: Mapping[str, Direction]) -> None:
        self._directions = directions
        self.metrics: dict[str, dict[str, float | int | None]] = {}

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Takes in the values of one step."""
        for name, value in values.items():
            if not name.startswith(TRACKED):
                continue
            entry = self.metrics.setdefault(name, {"final": None})
            entry["final"] = float(value)
            direction = self._direction_of(name)
            if direction is not None and not name.startswith("test/"):
                _keep_best(entry, float(value), step, direction)

    def state_dict(self) -> dict[str, Any]:
        """The metrics so far."""
        return {"metrics": {name: dict(entry) for name, entry in self.metrics.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores them."""
        self.metrics = {name: dict(entry) for name, entry in state["metrics"].items()}

    def _direction_of(self, name: str) -> Direction | None:
        known = find_metric(name)
        return known.direction if known else self._directions.get(name)


def _keep_best(entry: dict[str, float | int | None], value: float, step: int, direction: Direction) -> None:
    best = entry.setdefault("best", None)
    entry.setdefault("best_step", None)
    if is_better(value, best, direction):
        entry["best"], entry["best_step"] = value, step

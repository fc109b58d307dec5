"""Keeps the final and the best value of every metric of a run, as they are logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.runs import Direction, find_metric, is_better
from bakeoff.runs.metrics import SPLITS, on_test_data, split_of
from bakeoff.train.member import SessionMember

TRACKED = tuple(f"{split}/" for split in SPLITS)


class MetricSummary(SessionMember):
    """Name -> `final`, `best`, `best_step`.

    Test metrics have no best: test data chooses nothing. A user's own metric has none unless its direction is known:
    `directions` states it, name -> direction; `validated` are names that a user's own module logs on validation. A
    value that is not finite can be final but never best.
    """

    def __init__(self, directions: Mapping[str, Direction], validated: Iterable[str] = ()) -> None:
        self._directions = directions
        self.metrics: dict[str, dict[str, float | int | None]] = {}
        self.splits: dict[str, str] = dict.fromkeys(
            (n for n in validated if not n.startswith(TRACKED)), "val"
        )  # of names that do not say it

    def points(self, step: int, values: Mapping[str, float], split: str | None = None) -> None:
        """Takes in the values of one step."""
        for name, value in values.items():
            if split is None and not name.startswith(TRACKED):
                continue
            entry = self.metrics.setdefault(name, {"final": None})
            entry["final"] = float(value)
            if split is not None and not name.startswith(TRACKED):
                self.splits[name] = split
            direction = self._direction_of(name)
            if direction is not None and split_of(name, self.splits) != "test":
                _keep_best(entry, float(value), step, direction)

    def name_of(self, name: str, split: str | None) -> str:
        """The name under which a value of a split is kept: one name on several splits is several metrics."""
        known = split_of(name, self.splits)
        if split is None or known in (None, split):
            return name
        return on_test_data(name) if split == "test" else f"{split}/{name}"

    def state_dict(self) -> dict[str, Any]:
        """The metrics so far."""
        return {"metrics": {name: dict(entry) for name, entry in self.metrics.items()}, "splits": dict(self.splits)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores them."""
        self.metrics = {name: dict(entry) for name, entry in state["metrics"].items()}
        self.splits = dict(state.get("splits", {}))

    def _direction_of(self, name: str) -> Direction | None:
        known = find_metric(name)
        return known.direction if known else self._directions.get(name)


def _keep_best(entry: dict[str, float | int | None], value: float, step: int, direction: Direction) -> None:
    best = entry.setdefault("best", None)
    entry.setdefault("best_step", None)
    if is_better(value, best, direction):
        entry["best"], entry["best_step"] = value, step

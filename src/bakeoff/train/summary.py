"""Keeps the final and the best value of every metric of a run, as they are logged."""

from __future__ import annotations

import math
from argparse import Namespace
from typing import Any

from lightning.pytorch.loggers import Logger

from bakeoff.runs import lower_is_better

SPLITS = ("train/", "val/", "test/")


class Summary(Logger):
    """A Lightning logger into memory. Test metrics have no best: test data chooses nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics: dict[str, dict[str, float | int | None]] = {}

    @property
    def name(self) -> str:
        """Empty: nothing is written."""
        return ""

    @property
    def version(self) -> str:
        """Empty: nothing is written."""
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Takes in the values of one step; a value that is not finite can be final but never best."""
        for name, value in metrics.items():
            if not name.startswith(SPLITS):
                continue
            entry = self.metrics.setdefault(name, {"final": None})
            entry["final"] = float(value)
            if not name.startswith("test/"):
                self._keep_best(name, entry, float(value), step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The outcome holds the arm; nothing to add."""

    @staticmethod
    def _keep_best(name: str, entry: dict[str, float | int | None], value: float, step: int | None) -> None:
        best = entry.setdefault("best", None)
        entry.setdefault("best_step", None)
        better = best is None or (value < best if lower_is_better(name) else value > best)
        if math.isfinite(value) and better:
            entry["best"], entry["best_step"] = value, step

"""A Lightning logger that writes plain TensorBoard event files into one run folder."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger

from bakeoff.tensorboard.events import EventFile

CURVES = ("train/loss", "val/")  # what is read against other axes than the optimizer step


class EventLogger(Logger):
    """Writes every scalar at once, unlike Lightning's own logger makes no folder level, no `hparams` and no thread.

    Args:
        file: the run's one event file, in its folder.
        axes: optimizer step -> what else lies on the axis there, tag -> value; written beside each point of a curve.

    """

    def __init__(self, file: EventFile, axes: Callable[[int], Mapping[str, float]] | None = None) -> None:
        super().__init__()
        self._file, self._axes = file, axes

    @property
    def name(self) -> str:
        """Empty: the run folder is the log folder."""
        return ""

    @property
    def version(self) -> str:
        """Empty: a run has one version."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self._file.folder)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Writes one point for each name; `step` counts optimizer steps."""
        values = {tag: float(value) for tag, value in metrics.items()}
        if self._axes is not None and any(tag.startswith(CURVES) for tag in metrics):
            values |= self._axes(step or 0)
        self._file.scalars(values, step or 0)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: what Lightning finds in the module's arguments is not what a run was given."""

    def finalize(self, status: str) -> None:
        """Closes the file; `test` after `fit` goes on in the same one."""
        self._file.close()

"""A Lightning logger that writes plain TensorBoard event files into one run folder."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from bakeoff.tensorboard.events import EventFile


class EventLogger(Logger):
    """Writes every scalar at once, unlike Lightning's own logger makes no folder level, no `hparams` and no thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = EventFile(folder)

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
        self._file.scalars({tag: float(value) for tag, value in metrics.items()}, step or 0)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Hyperparameters are recorded once a sweep, not in the event file of each run."""

    def finalize(self, status: str) -> None:
        """Closes the file; `test` after `fit` goes on in the same one."""
        self._file.close()

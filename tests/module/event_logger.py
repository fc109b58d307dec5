"""A Lightning logger that writes plain event files, for tests of what a module logs."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger

from bakeoff.tensorboard import EventFile


class EventLogger(Logger):
    def __init__(self, file: EventFile) -> None:
        super().__init__()
        self._file = file

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._file.folder)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._file.scalars({tag: float(value) for tag, value in metrics.items()}, step or 0)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def finalize(self, status: str) -> None:
        self._file.close()

"""torch's `SummaryWriter`, writing into the event file of a run: for what a user's own module draws."""

from __future__ import annotations

import time
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from torch.utils.tensorboard import SummaryWriter

from bakeoff.tensorboard.events import EventFile


class RunSummaryWriter(SummaryWriter):
    """`add_image`, `add_figure`, `add_text`, `add_histogram`, `add_scalar` and so on, as torch documents them.

    Args:
        file: where they are written.

    """

    def __init__(self, file: EventFile) -> None:
        self._file = file
        super().__init__(log_dir=str(file.folder))

    def _get_file_writer(self) -> Any:
        """Called by every method of torch's writer; a new file would be one run more."""
        writer: Any = self.file_writer or _ToEventFile(self._file)
        self.file_writer, self.all_writers = writer, {writer.get_logdir(): writer}  # type: ignore[assignment]
        return writer

    def add_hparams(self, *arguments: Any, **options: Any) -> None:
        """Nothing: a run's hyperparameters are those of its configuration, and each run is one row."""

    def add_scalars(self, main_tag: str, tag_scalar_dict: Any, global_step: Any = None, walltime: Any = None) -> None:
        """As curves `main_tag/tag` of the run; torch makes a run of each."""
        for tag, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{tag}", value, global_step, walltime)

    def close(self) -> None:
        """Nothing: the run closes its file."""


class _ToEventFile:
    """What torch's writer expects of its own `FileWriter`."""

    def __init__(self, file: EventFile) -> None:
        self._file = file

    def get_logdir(self) -> str:
        return str(self._file.folder)

    def add_event(self, event: Event, step: Any = None, walltime: float | None = None) -> None:
        event.wall_time = walltime or time.time()
        if step is not None:
            event.step = int(step)
        self._file.event(event)

    def add_summary(self, summary: Any, global_step: Any = None, walltime: float | None = None) -> None:
        self._file.summary(summary, 0 if global_step is None else int(global_step), walltime)

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        self.add_event(Event(graph_def=graph_profile[0].SerializeToString()), None, walltime)

    def flush(self) -> None:
        self._file.flush()

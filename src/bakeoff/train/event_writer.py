"""What one run writes to TensorBoard, into one event file, and when.

at the start    its hyperparameters (the session start of HParams), its configuration as text
on the way      curves, with samples, epochs and seconds beside each point; histograms where `log=full`
completed       final and best value of each metric; confusion matrix and examples, of a classification
ended for good  how it ended (the session end of HParams); an interrupted run has none, as it can be resumed
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]
from tensorboard.compat.proto.event_pb2 import Event

from bakeoff.runs import Outcome
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.ahead import Position, events_ahead
from bakeoff.tensorboard.hparams import Hyperparameter, read_kinds, separate_kinds, session_end, session_start
from bakeoff.tensorboard.pictures import confusion_matrix, labelled_examples
from bakeoff.tensorboard.summaries import code_block, image, text
from bakeoff.train.member import SessionMember
from bakeoff.train.predictions import Predictions
from bakeoff.train.settings import Settings
from bakeoff.train.step_clock import StepClock

log = logging.getLogger(__name__)

CURVES = ("train/loss", "val/")  # what is read against other axes than the optimizer step
MAX_CLASSES = 30  # in a confusion matrix that can still be read
SUCCESS = {"completed": True, "diverged": False, "failed": False}
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # a tenth of the time


class RunEventWriter(SessionMember):
    """Writes into the event file of a run.

    Args:
        file: the run's event file; `Histograms` writes there too.
        settings: the run's, shown as text.
        hyperparameters: name -> value, for the HParams table.
        clock: gives the axes of a step.
        predictions: what the pictures are made of; None where there are none.
        n_out: the number of classes.

    """

    def __init__(
        self,
        file: EventFile,
        settings: Settings,
        hyperparameters: Mapping[str, Hyperparameter],
        clock: StepClock,
        predictions: Predictions | None,
        n_out: int,
    ) -> None:
        self._file, self._settings, self._hyperparameters = file, settings, hyperparameters
        self._clock, self._predictions, self._n_out = clock, predictions, n_out
        self._written: Position | None = None  # when the checkpoint was made that is resumed from

    def start(self, resumed_at: int | None) -> None:
        """Writes what is known at the start, for everybody to read at once; runs of an arm are one group.

        A run that is resumed after step `resumed_at` has written that before; readers forget the points behind it, but
        for those that a module's own count of steps puts there.
        """
        if resumed_at is not None:
            ahead = self._ahead(resumed_at + 1)
            self._file.restart(resumed_at + 1)
            for event in ahead:
                self._file.event(event)
            self._file.flush()
            return
        run = self._file.folder
        columns = separate_kinds(self._hyperparameters, read_kinds(run.parent.parent))
        self._file.summary(session_start(columns, run.parent.name, time.time()))
        self._file.summary(text("configuration", as_markdown(self._settings.as_dict())))
        self._file.flush()

    def points(self, step: int, values: Mapping[str, float], split: str | None = None) -> None:
        """Writes one point for each tag, and with those of the main curves the axes of the step."""
        if split is not None or any(tag.startswith(CURVES) for tag in values):
            values = {**values, **self._clock.at(step)}
        self._file.scalars(values, step)

    def state_dict(self) -> dict[str, Any]:
        """How much is written, and up to which step."""
        path = self._file.path
        written = [] if path is None else [path.name, self._file.size]
        return {"written": written, "last_step": self._file.last_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self._written = Position(*state["written"]) if state["written"] else None
        self._file.last_step = state["last_step"]

    def _ahead(self, step: int) -> list[Event]:
        """Events from this step on that the run had written at its checkpoint."""
        if self._written is None or self._file.last_step < step:
            return []
        return events_ahead(self._file.folder, self._written, step)

    def flush(self) -> None:
        """Gives everything written so far to the operating system: a kill does not lose it any more."""
        self._file.flush()

    def close(self, outcome: Outcome) -> None:
        """Writes what is known at the end, and closes the file. After a bad end, what cannot be written is logged.

        Raises:
            OSError: what a completed run ends with cannot be written: it is not completed yet.

        """
        try:
            if outcome.status == "completed":
                self._write_results(outcome)
                self._write_pictures(outcome.steps)
            if outcome.status in SUCCESS:
                self._file.summary(session_end(SUCCESS[outcome.status], time.time()), outcome.steps)
            self._file.close()
        except OSError as error:
            if outcome.status == "completed":
                raise
            log.warning("the event file in %s is not complete: %s", self._file.folder, error)

    def _write_results(self, outcome: Outcome) -> None:
        """One value a tag, so that TensorBoard's table of runs shows it; only of completed runs, as it averages."""
        results: dict[int, dict[str, float]] = defaultdict(dict)
        for name, entry in outcome.metrics.items():
            for kind, step in (("final", outcome.steps), ("best", entry.get("best_step"))):
                value = entry.get(kind)
                if step is not None and value is not None and math.isfinite(value):
                    results[int(step)][f"{kind}/{name}"] = value
        for step, values in sorted(results.items()):
            self._file.scalars(values, step)

    def _write_pictures(self, step: int) -> None:
        try:
            for tag, png in self._pictures().items():
                self._file.summary(image(tag, png), step)
        except Exception as error:  # whatever a user's data holds: a picture is no reason to lose a run
            log.warning("no pictures of what was predicted: %s: %s", type(error).__name__, error)

    def _pictures(self) -> dict[str, bytes]:
        pictures: dict[str, bytes] = {}
        if self._predictions is None:
            return pictures
        counts = self._predictions.confusion(self._n_out) if self._n_out <= MAX_CLASSES else None
        if counts is not None:
            pictures["confusion"] = confusion_matrix(counts)
        examples = self._predictions.examples()
        if examples is not None:
            pictures["examples"] = labelled_examples(*examples)
        return pictures


def as_markdown(settings: Mapping[str, Any]) -> str:
    """Settings as a block of YAML."""
    # through JSON, for what is neither text nor number, and past it, for text that is not valid Unicode
    plain = json.dumps(settings, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    content = yaml.dump(json.loads(plain), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    return code_block(content, "yaml")

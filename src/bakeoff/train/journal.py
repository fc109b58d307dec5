"""What one run writes to TensorBoard, into one event file, and when.

at the start    its hyperparameters (the session start of HParams), its configuration as text
on the way      curves, with samples, epochs and seconds beside each point; histograms where `log=full`
completed       final and best value of each metric; confusion matrix and examples, of a classification
ended for good  how it ended (the session end of HParams); an interrupted run has none, as it can go on
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml  # type: ignore[import-untyped]
from lightning.pytorch.loggers import Logger

from bakeoff.runs import Outcome
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.hparams import Hyperparameter, read_kinds, separate_kinds, session_end, session_start
from bakeoff.tensorboard.logger import EventLogger
from bakeoff.tensorboard.pictures import confusion_matrix, labelled_examples
from bakeoff.tensorboard.summaries import code_block, image, text
from bakeoff.train.axes import Axes
from bakeoff.train.budget import Budget
from bakeoff.train.histograms import Histograms
from bakeoff.train.parts import Parts
from bakeoff.train.predictions import Predictions

log = logging.getLogger(__name__)

MOST_CLASSES = 30  # in a confusion matrix that can still be read
SUCCESS = {"completed": True, "diverged": False, "failed": False}
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # a tenth of the time


class Journal:
    """Owns the event file of a run in `folder`; `logger` and `callbacks` are for its `Trainer`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], parts: Parts, budget: Budget) -> None:
        self._settings, self._n_out = settings, parts.n_out
        self._file = EventFile(folder)
        axes = Axes(parts.spec, settings["batch_size"])
        self.logger: Logger = EventLogger(self._file, axes.at)
        self.callbacks: list[pl.Callback] = [axes]
        self._predictions = None
        if parts.task == "classification":
            self._predictions = Predictions(parts.spec, not_before=_earliest_end(settings, budget))
            self.callbacks.append(self._predictions)
        if settings["log"] == "full":
            self.callbacks.append(Histograms(self._file, budget.validations))

    def begin(self, hyperparameters: Mapping[str, Hyperparameter], resumed_at: int | None = None) -> None:
        """Writes what is known at the start, for everybody to read at once; runs of an arm are one group.

        A run that is resumed after step `resumed_at` has written that before; readers forget the points behind it.
        """
        if resumed_at is not None:
            self._file.restart(resumed_at + 1)
            self._file.flush()
            return
        run = self._file.folder
        columns = separate_kinds(hyperparameters, read_kinds(run.parent.parent))
        self._file.summary(session_start(columns, run.parent.name, time.time()))
        self._file.summary(text("configuration", as_markdown(self._settings)))
        self._file.flush()

    def flush(self) -> None:
        """Hands everything written so far to the operating system: a kill does not take it any more."""
        self._file.flush()

    def end(self, outcome: Outcome) -> None:
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
        counts = self._predictions.confusion(self._n_out) if self._n_out <= MOST_CLASSES else None
        if counts is not None:
            pictures["confusion"] = confusion_matrix(counts)
        examples = self._predictions.examples()
        if examples is not None:
            pictures["examples"] = labelled_examples(*examples)
        return pictures


def _earliest_end(settings: Mapping[str, Any], budget: Budget) -> int:
    """The step before which no validation is the last one: any can be, where something may stop the run early."""
    may_stop = settings["early_stopping"]["patience"] is not None or settings["callbacks"]
    return 0 if may_stop or budget.steps is None else budget.steps


def as_markdown(settings: Mapping[str, Any]) -> str:
    """Settings as a block of YAML."""
    # through JSON, for what is neither text nor number, and past it, for text that is not valid Unicode
    plain = json.dumps(settings, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    content = yaml.dump(json.loads(plain), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    return code_block(content, "yaml")

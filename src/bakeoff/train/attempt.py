"""One attempt at a run: from its start, or from its last checkpoint, to its end or to where it is stopped."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import os
import platform
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch

from bakeoff.module import StopOnDivergence, SupervisedModule
from bakeoff.runs import ENDED, Outcome, arm_of, lower_is_better, now
from bakeoff.train.budget import samples_seen
from bakeoff.train.checkpoints import OURS, Checkpoints
from bakeoff.train.journal import Journal
from bakeoff.train.stopping import STOPPED_STATUS, Stopping
from bakeoff.train.summary import Summary
from bakeoff.train.trainer import early_stopping, trainer_for

if TYPE_CHECKING:
    from bakeoff.train.run import Run

log = logging.getLogger(__name__)

USUAL_THREADS = torch.get_num_threads()  # torch's own choice, before a run of another number of threads
PACKAGES = ("bakeoff", "torch", "lightning", "hydra-core", "torchmetrics", "numpy")
NO_STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Attempt:
    """Trains a prepared run in `folder`. What it must find again after a kill stands in its checkpoints."""

    def __init__(
        self, run: Run, folder: Path, stopping: Stopping, is_mine: Callable[[], bool], *, progress_bar: bool = False
    ) -> None:
        self.run, self.folder, self._progress_bar = run, folder, progress_bar
        self._stopping, self._is_mine = stopping, is_mine
        self._summary, self._guard = Summary(), StopOnDivergence()
        self._started, self._seconds_before = time.monotonic(), 0.0
        self._trainer: pl.Trainer | None = None
        self._checkpoints = Checkpoints(
            folder,
            mode=run.settings["checkpoints"],
            every=run.settings["checkpoint_every"],
            identity=run.identity,
            metric=(run.metric, lower_is_better(run.metric)),
            state=self._state,
            flush=lambda: self._journal.flush(),
            stopping=stopping,
            is_mine=is_mine,
        )

    def share(self) -> float:
        """The part of the budget that is spent, in [0, 1]."""
        return self.run.budget.spent(self._trainer.global_step) if self._trainer else 0.0

    def make(self, threads: int | None) -> Outcome:
        """See `Run.train`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # a run that has ended for good is not gone on with: who asks for it again wants it from its start
        before = Outcome.read(self.folder)
        checkpoint = None if before and before.status in ENDED else self._checkpoints.latest()
        outcome = self._begin((checkpoint or {}).get(OURS), threads or USUAL_THREADS)
        journal = self._journal = Journal(self.folder, self.run.settings, self.run.parts, self.run.budget)
        try:
            journal.begin(self.run.hyperparameters, resumed_at=checkpoint["global_step"] if checkpoint else None)
            self._trainer = self._make_trainer(journal)
            outcome.device = _device_name(self._trainer.strategy.root_device)
            self._fit_and_test(self._trainer, checkpoint)
            outcome.status = "diverged" if self._guard.divergence else "completed"
            if self._guard.divergence:
                what = self._guard.divergence
                outcome.error = _error("Divergence", str(what), step=what.step)
        except (KeyboardInterrupt, SystemExit) as stop:
            outcome.status, outcome.error = "interrupted", _error(type(stop).__name__, "stopped from outside")
            # Lightning turns Ctrl-C into exit status 1, and a scheduler's SIGTERM into 0
            raise SystemExit(STOPPED_STATUS) from stop
        except Exception as error:
            outcome.status, outcome.error = self._bad_end(error)
            if self._stopping.asked:  # what was stopped with it, such as a loader's processes, may have failed first
                outcome.status = "interrupted"
                raise SystemExit(STOPPED_STATUS) from error
        finally:
            self._end(outcome, journal)
        return outcome

    def _bad_end(self, error: Exception) -> tuple[str, dict[str, str | int | None]]:
        """Status and error of a run that raised."""
        step = self._trainer.global_step + 1 if self._trainer else None
        kind = type(error).__name__
        if isinstance(error, OSError) and _is_of_storage(error, self.folder):
            # a disk that is full, or a folder that cannot be written any more, is no fault of the run: it can go on
            message = f"cannot write to {error.filename or self.folder}: {error.strerror}"
            return "interrupted", _error(kind, message, step)
        return "failed", _error(kind, str(error), step, traceback.format_exc())

    def _begin(self, resumed: dict[str, Any] | None, usual_threads: int) -> Outcome:
        run = self.run
        if resumed is None:
            self._checkpoints.forget()
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
        # the number of threads decides the last bits: a run goes on with that of its beginning
        threads = resumed["threads"] if resumed else run.settings["trainer"]["threads"] or usual_threads
        torch.set_num_threads(threads)
        outcome = Outcome(arm_of(run.overrides), run.settings["seed"], run.identity, run.overrides)
        outcome.versions = {"python": platform.python_version()}
        outcome.versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
        outcome.threads, outcome.request = threads, run.request
        outcome.host, outcome.process = socket.gethostname(), os.getpid()
        if resumed:
            outcome.started = resumed["started"]
            outcome.metrics = self._summary.metrics = resumed["metrics"]
            self._seconds_before = resumed["seconds"]
        self._outcome = outcome
        outcome.write(self.folder)
        return outcome

    def _state(self) -> dict[str, Any]:
        """What stands in a checkpoint beside what Lightning and its callbacks keep."""
        return {
            "metrics": self._summary.metrics,
            "seconds": self._seconds(),
            "started": self._outcome.started,
            "threads": self._outcome.threads,
            "budget": self.run.budget.state_dict(),
        }

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def _make_trainer(self, journal: Journal) -> pl.Trainer:
        run = self.run
        stopping = early_stopping(run.settings["early_stopping"], run.metric)
        # the checkpoints come last, when the others have seen what there is
        callbacks = [self._guard, *journal.callbacks, *stopping, *run.callbacks, self._checkpoints]
        return trainer_for(
            run.settings,
            run.budget,
            self.folder,
            [journal.logger, self._summary],
            callbacks,
            at_rest=self._checkpoints.at_rest,
            progress_bar=self._progress_bar,
        )

    def _fit_and_test(self, trainer: pl.Trainer, checkpoint: dict[str, Any] | None) -> None:
        run = self.run
        parts, settings = run.parts, run.settings["trainer"]
        net: Any = torch.compile(parts.net) if settings["compile"] else parts.net
        module = SupervisedModule(
            net,
            parts.loss,
            parts.optimizer,
            n_out=parts.n_out,
            task=parts.task,
            lr_factor=run.budget.lr_factor(parts.schedule) if parts.schedule else None,
            target_std=parts.spec.target_std,
            log_every_n_steps=settings["log_every_n_steps"],
            sample_every_n_steps=settings["sample_every_n_steps"],
        )
        # again, now that the net is built: dropout draws the same for arms whose nets draw differently
        pl.seed_everything(run.settings["seed"], workers=True, verbose=False)
        run.budget.start()
        if checkpoint is not None:
            run.budget.load_state_dict(checkpoint[OURS]["budget"])
        trainer.fit(module, datamodule=parts.data, ckpt_path=self._checkpoints.resumed_from, weights_only=True)
        if self._guard.divergence is None:
            self._checkpoints.trained()
            if parts.spec.has_test:
                trainer.test(module, datamodule=parts.data, verbose=False)

    def _end(self, outcome: Outcome, journal: Journal) -> None:
        spec, steps = self.run.parts.spec, self._trainer.global_step if self._trainer else 0
        outcome.steps = steps
        outcome.epochs = steps / spec.steps_per_epoch if spec.steps_per_epoch else 0.0
        outcome.samples = samples_seen(steps, spec.n_train, spec.steps_per_epoch, self.run.settings["batch_size"])
        outcome.metrics = self._summary.metrics
        if outcome.status == "diverged":  # what such weights score is no result, even where it is a number
            outcome.metrics = {name: {**entry, "final": None} for name, entry in outcome.metrics.items()}
        outcome.seconds, outcome.ended = round(self._seconds(), 3), now()
        if not self._is_mine():
            log.warning("another process has taken over the run in %s: nothing more is written", self.folder)
            return
        journal.end(outcome)
        try:
            outcome.write(self.folder)  # last: a run that is recorded as completed is never done again
        except OSError as error:
            if outcome.status == "completed":
                raise
            log.warning("the end of the run in %s could not be recorded: %s", self.folder, error)
        if outcome.status in ENDED:
            self._checkpoints.ended()


def _is_of_storage(error: OSError, folder: Path) -> bool:
    ours = isinstance(error.filename, str) and Path(error.filename).absolute().is_relative_to(folder.absolute())
    return error.errno in NO_STORAGE or ours


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _error(kind: str, message: str, step: int | None = None, trace: str | None = None) -> dict[str, str | int | None]:
    return {"type": kind, "message": message, "step": step, "traceback": trace}

"""From a configuration to an outcome: one run, trained, validated, tested and recorded."""

from __future__ import annotations

import importlib.metadata
import platform
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from bakeoff.module import StopOnDivergence, SupervisedModule
from bakeoff.runs import Outcome, arm_of, lower_is_better, now
from bakeoff.train.budget import Budget, budget_from, samples_seen
from bakeoff.train.hyperparameters import hyperparameters
from bakeoff.train.identity import identity_by_seed
from bakeoff.train.journal import Journal
from bakeoff.train.parts import Parts, build, instantiate
from bakeoff.train.settings import PARTS, check_metric, given_keys
from bakeoff.train.summary import Summary
from bakeoff.train.trainer import check_device, early_stopping, trainer_for

USUAL_THREADS = torch.get_num_threads()  # torch's own choice, before a run of another number of threads
STOPPED_STATUS = 130  # a shell's own for a command that was stopped
PACKAGES = ("bakeoff", "torch", "lightning", "hydra-core", "torchmetrics", "numpy")


class Run:
    """One training, prepared: every part is built and checked, nothing is written yet.

    Args:
        settings: plain, settled settings (`bakeoff.train.settings.settle`).
        overrides: the command line's own, from which the arm is read.
        choices: group -> option that was chosen in it, by which a part is called where it is shown; without it, and
            where the command line names another class, a part is called by its class.

    `hyperparameters` are what TensorBoard is told of it, name -> value.

    Raises:
        UserError: a part cannot be built, or the parts do not fit each other.

    """

    def __init__(
        self, settings: Mapping[str, Any], overrides: Sequence[str], choices: Mapping[str, str] | None = None
    ) -> None:
        self.settings, self.overrides = settings, list(overrides)
        given = given_keys(overrides)
        own_class = {part for part in PARTS if f"{part}._target_" in given}
        named = {group: option for group, option in (choices or {}).items() if group not in own_class}
        self.parts: Parts = build(settings)
        spec = self.parts.spec
        self.hyperparameters = hyperparameters(settings, named, spec.n_train)
        self.metric = check_metric(settings["metric"], self.parts.task, self.parts.n_out)
        self.budget: Budget = budget_from(
            settings["budget"],
            n_train=spec.n_train,
            steps_per_epoch=spec.steps_per_epoch,
            batch_size=settings["batch_size"],
        )
        self.callbacks = [instantiate(f"callbacks.{k}", v) for k, v in settings["callbacks"].items()]
        check_device(settings["trainer"])

    def train(self, folder: Path, *, progress_bar: bool = False) -> Outcome:
        """Trains to the end of the budget, tests once on the last weights, and writes `outcome.json` and event files.

        What an earlier run left in `folder` is replaced. A failure is recorded and returned, not raised.

        Raises:
            SystemExit: stopped from outside; the run is recorded as interrupted.

        """
        torch.set_num_threads(self.settings["trainer"]["threads"] or USUAL_THREADS)
        outcome = self._begin(folder)
        summary, guard, started = Summary(), StopOnDivergence(), time.monotonic()
        journal = Journal(folder, self.settings, self.parts, self.budget)
        trainer: pl.Trainer | None = None
        try:
            journal.begin(self.hyperparameters)
            stopping = early_stopping(self.settings["early_stopping"], self.metric)
            callbacks = [guard, *journal.callbacks, *stopping, *self.callbacks]
            loggers = [journal.logger, summary]
            trainer = trainer_for(self.settings, self.budget, folder, loggers, callbacks, progress_bar=progress_bar)
            outcome.device = _device_name(trainer.strategy.root_device)
            self._fit_and_test(trainer, guard)
            outcome.status = "diverged" if guard.divergence else "completed"
            if guard.divergence:
                what = guard.divergence
                outcome.error = _error("Divergence", str(what), step=what.step)
        except (KeyboardInterrupt, SystemExit) as stop:
            outcome.status, outcome.error = "interrupted", _error(type(stop).__name__, "stopped from outside")
            # Lightning turns Ctrl-C into exit status 1, and a scheduler's SIGTERM into 0
            raise SystemExit(STOPPED_STATUS) from stop
        except Exception as error:
            step = trainer.global_step + 1 if trainer else None
            outcome.status = "failed"
            outcome.error = _error(type(error).__name__, str(error), step, traceback.format_exc())
        finally:
            self._end(outcome, trainer, summary, time.monotonic() - started)
            journal.end(outcome)
            outcome.write(folder)  # last: a run that is recorded as completed is never done again
        return outcome

    def _begin(self, folder: Path) -> Outcome:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        identity = identity_by_seed(self.settings, self.parts.spec.digest)(self.settings["seed"])
        outcome = Outcome(arm_of(self.overrides), self.settings["seed"], identity, self.overrides)
        outcome.versions = {"python": platform.python_version()}
        outcome.versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
        outcome.threads = torch.get_num_threads()
        outcome.write(folder)
        return outcome

    def _fit_and_test(self, trainer: pl.Trainer, guard: StopOnDivergence) -> None:
        parts, settings = self.parts, self.settings["trainer"]
        net: Any = torch.compile(parts.net) if settings["compile"] else parts.net
        module = SupervisedModule(
            net,
            parts.loss,
            parts.optimizer,
            n_out=parts.n_out,
            task=parts.task,
            lr_factor=self.budget.lr_factor(parts.schedule) if parts.schedule else None,
            target_std=parts.spec.target_std,
            log_every_n_steps=settings["log_every_n_steps"],
            sample_every_n_steps=settings["sample_every_n_steps"],
        )
        # again, now that the net is built: dropout draws the same for arms whose nets draw differently
        pl.seed_everything(self.settings["seed"], workers=True, verbose=False)
        self.budget.start()
        trainer.fit(module, datamodule=parts.data)
        if guard.divergence is None and parts.spec.has_test:
            trainer.test(module, datamodule=parts.data, verbose=False)

    def _end(self, outcome: Outcome, trainer: pl.Trainer | None, summary: Summary, seconds: float) -> None:
        spec = self.parts.spec
        outcome.steps = trainer.global_step if trainer else 0
        outcome.epochs = outcome.steps / spec.steps_per_epoch if spec.steps_per_epoch else 0.0
        outcome.samples = samples_seen(outcome.steps, spec.n_train, spec.steps_per_epoch, self.settings["batch_size"])
        outcome.metrics = summary.metrics
        if outcome.status == "diverged":  # what such weights score is no result, even where it is a number
            outcome.metrics = {name: {**entry, "final": None} for name, entry in summary.metrics.items()}
        outcome.seconds, outcome.ended = round(seconds, 3), now()


def objective(outcome: Outcome, metric: str) -> float:
    """What a sweeper is given: the final value of the metric, or the worst one after a bad end."""
    value = outcome.metrics.get(metric, {}).get("final") if outcome.status == "completed" else None
    worst = float("inf") if lower_is_better(metric) else float("-inf")
    return worst if value is None else float(value)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _error(kind: str, message: str, step: int | None = None, trace: str | None = None) -> dict[str, str | int | None]:
    return {"type": kind, "message": message, "step": step, "traceback": trace}

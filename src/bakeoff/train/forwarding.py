"""Lightning callbacks and a logger that forward what happens in a `Trainer` to the session of a run."""

from __future__ import annotations

import math
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from bakeoff.data.loaders import samples_in
from bakeoff.errors import UserError
from bakeoff.module.logged_values import steps_made
from bakeoff.module.sharded import whole
from bakeoff.runs.stop import SIGNALS
from bakeoff.train.callbacks import ACCUMULATE
from bakeoff.train.run import Run
from bakeoff.train.run_state import RunState
from bakeoff.train.session import RunSession
from bakeoff.train.skipped_epoch import refuse_skipped_epoch

if TYPE_CHECKING:
    from bakeoff.train.summary_writer import RunSummaryWriter


class BeforeOthers(pl.Callback):
    """Forwards what is timed, before other callbacks take their time; keeps signal handlers and an early end."""

    def __init__(self, session: RunSession, resumed: RunState | None) -> None:
        self._session, self._had_ended = session, resumed is not None and resumed.ended
        self._handlers = {number: signal.getsignal(number) for number in SIGNALS}
        self._evaluations = 0  # of the loss, in this step

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock. Trains no further where training had ended, perhaps early: what is missing is the test."""
        trainer.should_stop = trainer.should_stop or self._had_ended
        self._session.training_started()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first hook after Lightning has set its own signal handlers."""
        self._restore_handlers()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same in a test."""
        self._restore_handlers()

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        """The loss has been evaluated for a step; a budget counts one evaluation a step."""
        self._evaluations += 1
        if self._evaluations > 1 and pl_module.automatic_optimization:
            raise UserError(
                f"optimizer: {type(optimizer).__name__} evaluates the loss several times in a step, which budgets, "
                "samples and curves do not count: not supported"
            )

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """A step is made, unless gradients are accumulated over several batches."""
        self._evaluations = 0
        step = steps_made(trainer)  # takes Lightning a few microseconds
        if step != self._session.step:
            self._session.stepped(step)
            if not pl_module.automatic_optimization and step == self._session.run.budget.steps:
                trainer.should_stop = True  # the trainer counts other steps, and would not end

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Epochs are counted as whole ones."""
        refuse_skipped_epoch(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A validation begins. Lightning keeps logged values: one of the last validation is none of this one."""
        trainer.callback_metrics.pop(self._session.run.metric, None)
        self._session.validation_started()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """One batch of it."""
        self._session.validation_batch(batch, outputs)

    def _restore_handlers(self) -> None:
        """Lightning would end a run at SIGTERM where no checkpoint is written; the session ends it where one is."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                if handler is not None:  # one that was not set from Python cannot be set from it
                    signal.signal(number, handler)


class CountedSamples(pl.Callback):
    """Counts the samples of every batch, for data that does not say how many an epoch or a batch has."""

    def __init__(self, session: RunSession) -> None:
        self._session = session

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """A batch was trained on."""
        self._session.counted_samples += samples_in(batch)


class LastGradients(pl.Callback):
    """Holds the gradients of the last step: Lightning drops them before a validation begins."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self.gradients: dict[str, Tensor] = {}

    def on_train_batch_start(self, *_: Any) -> None:
        """Drops them, since the step needs their memory."""
        self.gradients = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Holds them."""
        self.gradients = {name: p.grad for name, p in self._net.named_parameters() if p.grad is not None}


class ValidatedWeights(pl.Callback):
    """Keeps the weights that were validated; to stand before the callbacks that may have put them there.

    A callback that averages weights puts the average into the module for the batches of a validation, and has taken it
    out again when all have logged their metrics, by which one knows whether these weights are the best.
    """

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last batch has been validated."""
        self.weights = whole({name: value.detach().clone() for name, value in pl_module.state_dict().items()})


class AfterOthers(pl.Callback):
    """Forwards the end of a validation, when all callbacks have logged their metrics.

    Args:
        session: the run's.
        validated: what keeps the validated weights; None where no callback can have changed them since.
        gradients: what holds the gradients of the last step, if they are wanted.

    """

    def __init__(
        self, session: RunSession, validated: ValidatedWeights | None, gradients: LastGradients | None
    ) -> None:
        self._session, self._validated, self._gradients = session, validated, gradients

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """When callbacks have changed what they change for an epoch."""
        _refuse_accumulation(trainer, self._session.run)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """They may have changed it within one."""
        _refuse_accumulation(trainer, self._session.run)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops the training if that follows."""
        _refuse_accumulation(trainer, self._session.run)
        _refuse_other_values(trainer, pl_module)
        gradients, validated = self._gradients, self._validated
        decision = self._session.validated(
            {name: float(value) for name, value in trainer.callback_metrics.items()},
            weights=lambda: validated.weights if validated else pl_module.state_dict(),
            parameters=lambda: {name: p.detach() for name, p in self._session.run.parts.net.named_parameters()},
            gradients=lambda: gradients.gradients if gradients else {},
        )
        trainer.should_stop = trainer.should_stop or decision.stop
        if validated:
            validated.weights = {}

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """When all have logged what they measured."""
        _refuse_other_values(trainer, pl_module)


def _refuse_other_values(trainer: pl.Trainer, module: Any) -> None:
    """Lightning takes the mean of what two log by one name."""
    for name, value in getattr(module, "measured", {}).items():
        shown = float(trainer.callback_metrics.get(name, value))
        if not math.isclose(shown, value, rel_tol=1e-4) and not (math.isnan(shown) and math.isnan(value)):
            raise UserError(f"callbacks: one of them logs {name} as well, which is measured already: use another name")


def _refuse_accumulation(trainer: pl.Trainer, run: Run) -> None:
    """Budget, samples and curves are counted by the batches a step of the settings."""
    if trainer.accumulate_grad_batches != run.settings.trainer.accumulate_grad_batches:
        raise UserError(
            f"callbacks: one of them sets trainer.accumulate_grad_batches={trainer.accumulate_grad_batches}; "
            f"{ACCUMULATE}"
        )


SPLIT_OF = {"train": "train", "validate": "val", "test": "test"}  # by Lightning's name of a stage


class SessionLogger(Logger):
    """Everything that is logged becomes points of curves.

    Args:
        session: the run's.
        stage: the trainer's, for a module whose names of metrics do not say on which data they are measured.

    """

    def __init__(self, session: RunSession, stage: Callable[[], Any] | None = None) -> None:
        super().__init__()
        self._session, self._stage = session, stage
        self._experiment: RunSummaryWriter | None = None

    @property
    def experiment(self) -> RunSummaryWriter:
        """Torch's `SummaryWriter`, whose images, texts and curves come into the run's event file."""
        if self._experiment is None:
            from bakeoff.train.summary_writer import RunSummaryWriter  # takes a second to import

            self._experiment = RunSummaryWriter(self._session.event_file)
        return self._experiment

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
        return str(Path(self._session.folder))

    @property
    def log_dir(self) -> str:
        """The run folder, as `TensorBoardLogger` calls it."""
        return self.save_dir

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One point for each name; `step` counts optimizer steps."""
        split = SPLIT_OF.get(self._stage()) if self._stage else None
        self._session.points(step or 0, {name: float(value) for name, value in metrics.items()}, split)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: what Lightning finds in the module's arguments is not what a run was given."""

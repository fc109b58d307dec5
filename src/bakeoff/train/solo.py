"""Trains one run alone, by a Lightning `Trainer` whose callbacks and logger forward to the run's session."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from bakeoff.module import StopOnDivergence, SupervisedModule
from bakeoff.runs import Outcome
from bakeoff.runs.stop import SIGNALS
from bakeoff.train.lightning_checkpoint import IN_MEMORY, RunStateIO
from bakeoff.train.run import Run
from bakeoff.train.run_state import RunState
from bakeoff.train.session import RunSession, as_error, stopped_error
from bakeoff.train.trainer import trainer_for


def train_solo(session: RunSession, *, progress_bar: bool = False) -> Outcome:
    """Trains to the end of the budget, and tests once on the last weights.

    Resumes from the last checkpoint that this very run has left in its folder. A failure, and a stop from outside, are
    recorded and returned, not raised.

    Raises:
        OSError: nothing can be written in the run's folder.

    """
    state = session.open()
    guard = StopOnDivergence()
    try:
        trained = _train(session, state, guard, progress_bar)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # Lightning makes SystemExit of a Ctrl-C
        return session.close(*session.classify_error(error))
    if not trained:
        return session.close("interrupted", stopped_error())
    if guard.divergence is not None:
        return session.close("diverged", as_error("Divergence", str(guard.divergence), step=guard.divergence.step))
    try:
        return session.close("completed")
    except OSError as error:  # no room for the last of its results: it is not completed yet
        return session.close(*session.classify_error(error))


def _train(session: RunSession, state: RunState | None, guard: StopOnDivergence, progress_bar: bool) -> bool:
    """Trains and tests; False if the run was stopped at a step boundary."""
    run, checkpoint_io = session.run, RunStateIO(state)
    torch.set_num_threads(session.threads)
    gradients = _LastGradients(run.parts.net) if session.needs_gradients else None
    before, after = _BeforeOthers(session, state), _AfterOthers(session, gradients)
    trainer = trainer_for(
        run.settings,
        session.budget,
        session.folder,
        logger=_SessionLogger(session),
        # what follows from a validation comes last, when a user's own callbacks have logged what they log
        callbacks=[guard, before, *([gradients] if gradients else []), *run.callbacks, after],
        checkpoint_io=checkpoint_io,
        on_step_boundary=lambda: _at_boundary(session, trainer, checkpoint_io),
        progress_bar=progress_bar,
    )
    session.set_device(_device_name(trainer.strategy.root_device))
    module = _module_for(run, session)
    # again, now that the net is built: dropout draws the same for arms whose nets draw differently
    pl.seed_everything(run.settings.seed, workers=True, verbose=False)
    session.budget.start()
    try:
        trainer.fit(module, datamodule=run.parts.data, ckpt_path=IN_MEMORY if state else None, weights_only=True)
    except _LeaveLoopError:
        return False
    if guard.divergence is None:
        session.save_final(lambda: checkpoint_io.capture(trainer))
        if run.parts.spec.has_test:
            trainer.test(module, datamodule=run.parts.data, verbose=False)
    return True


class _LeaveLoopError(Exception):
    """Leaves Lightning's loop at a step boundary.

    It has no other way out that writes nothing more: what it writes at the end of a training would stand in the curves
    twice once the run is resumed.
    """


def _at_boundary(session: RunSession, trainer: pl.Trainer, checkpoint_io: RunStateIO) -> None:
    ends_here = trainer.should_stop or session.step == session.run.budget.steps
    if not ends_here and not session.boundary(lambda: checkpoint_io.capture(trainer)):
        raise _LeaveLoopError


def _module_for(run: Run, session: RunSession) -> SupervisedModule:
    parts, settings = run.parts, run.settings.trainer
    net: Any = torch.compile(parts.net) if settings.compile else parts.net
    return SupervisedModule(
        net,
        parts.loss,
        parts.optimizer,
        n_out=parts.n_out,
        task=parts.task,
        lr_factor=session.budget.lr_factor(parts.schedule) if parts.schedule else None,
        target_std=parts.spec.target_std,
        log_every_n_steps=settings.log_every_n_steps,
        sample_every_n_steps=settings.sample_every_n_steps,
    )


class _BeforeOthers(pl.Callback):
    """Forwards what is timed, before other callbacks take their time; keeps signal handlers and an early end."""

    def __init__(self, session: RunSession, resumed: RunState | None) -> None:
        self._session, self._had_ended = session, resumed is not None and resumed.ended
        self._handlers = {number: signal.getsignal(number) for number in SIGNALS}

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

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """A step is made, unless gradients are accumulated over several batches."""
        if trainer.global_step != self._session.step:
            self._session.stepped(trainer.global_step)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A validation begins."""
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
                signal.signal(number, handler)


class _LastGradients(pl.Callback):
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


class _AfterOthers(pl.Callback):
    """Forwards the end of a validation, when all callbacks have logged their metrics."""

    def __init__(self, session: RunSession, gradients: _LastGradients | None) -> None:
        self._session, self._gradients = session, gradients

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops the training if that follows."""
        gradients = self._gradients
        decision = self._session.validated(
            {name: float(value) for name, value in trainer.callback_metrics.items()},
            weights=pl_module.state_dict,
            parameters=lambda: {name: p.detach() for name, p in self._session.run.parts.net.named_parameters()},
            gradients=lambda: gradients.gradients if gradients else {},
        )
        trainer.should_stop = trainer.should_stop or decision.stop


class _SessionLogger(Logger):
    """Everything that is logged becomes points of curves."""

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self._session = session

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

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One point for each name; `step` counts optimizer steps."""
        self._session.points(step or 0, {name: float(value) for name, value in metrics.items()})

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: what Lightning finds in the module's arguments is not what a run was given."""


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

"""Tries a LightningModule of the user's own: one step, one validation and one test of a copy, on a few examples."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torchmetrics import Metric

from bakeoff.errors import UserError
from bakeoff.module.fallback import overrides
from bakeoff.module.loss_parameters import copied
from bakeoff.runs import Direction
from bakeoff.train.few_examples import FewExamples
from bakeoff.train.instantiate import first_cause
from bakeoff.train.settings import TrainerSettings
from bakeoff.train.skipped_epoch import refuse_skipped_epoch

EXAMPLES = 4
PACKAGES = ("lightning", "torch", "lightning_fabric", "pytorch_lightning")


def try_module(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    settings: TrainerSettings,
    *,
    has_test: bool,
    max_epochs: int,
    max_steps: int,
) -> Tried | None:
    """The metrics that it logs on validation, with their direction where torchmetrics says one.

    The module and the random numbers stay as they were; what it prints is not shown. Where it fails on a few examples
    it is tried on a whole batch, since it may count on their number. The trainer has the epochs and steps of the run,
    which the module may ask for. None where the module cannot be copied.

    Raises:
        UserError: a step, a validation or a test fails, with what is raised and where.

    """
    limits = {"max_epochs": max_epochs, "max_steps": max_steps}
    try:
        return _try(module, FewExamples(data, EXAMPLES), settings, has_test, limits)
    except _CannotBeCopiedError:
        return None
    except UserError:
        return _try(module, FewExamples(data, None), settings, has_test, limits)


@dataclass(frozen=True)
class Tried:
    """What is known of a module that was tried.

    `logged` are the metrics that it logs on validation, with their direction where torchmetrics says one.
    `schedule_reads_metrics` says whether a schedule looks at a metric after each epoch (`ReduceLROnPlateau`).
    """

    logged: Mapping[str, Direction | None]
    schedule_reads_metrics: bool


class _CannotBeCopiedError(Exception):
    pass


def _try(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    settings: TrainerSettings,
    has_test: bool,
    limits: Mapping[str, int],
) -> Tried:
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with isolate_rng(include_cuda=False), warnings.catch_warnings(), silent[0], silent[1]:
        warnings.simplefilter("ignore")
        try:
            tried = copied(module)  # it may hold a loss
        except Exception as error:  # what a module holds may not be made to be copied
            raise _CannotBeCopiedError from error
        watched = _Logged(tried)
        with tempfile.TemporaryDirectory() as folder:  # callbacks of the module may write there
            trainer = quiet_trainer(settings, watched, folder, limits)
            try:
                trainer.fit(tried, datamodule=data)
                configs = trainer.lr_scheduler_configs
                reads = any(one.reduce_on_plateau and one.interval == "epoch" for one in configs)
                if has_test and overrides(tried, pl.LightningModule, "test_step"):
                    trainer.test(tried, datamodule=data, verbose=False)
            except UserError:  # of a callback of ours
                raise
            except Exception as error:  # whatever a user's module raises
                raise UserError(_no_scalar(error, watched, tried) or _describe(error, tried)) from error
        return Tried(watched.found, reads)


def quiet_trainer(
    settings: TrainerSettings, callback: pl.Callback, folder: str, limits: Mapping[str, int]
) -> pl.Trainer:
    """A trainer that shows and keeps nothing; modules may write into `folder`. `limits` are epochs and steps."""
    return pl.Trainer(
        default_root_dir=folder,
        accelerator=settings.accelerator,
        devices=1,
        precision=settings.precision,
        max_epochs=limits["max_epochs"],
        max_steps=limits["max_steps"],
        num_sanity_val_steps=0,
        callbacks=[callback],
        logger=_NoLogger(folder),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )


class _NoLogger(DummyLogger):
    """Keeps nothing; a module may ask for its folder, and write there."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    @property
    def save_dir(self) -> str:
        """A temporary folder."""
        return self._folder

    @property
    def log_dir(self) -> str:
        """The same, as `TensorBoardLogger` calls it."""
        return self._folder


class _Logged(pl.Callback):
    """Listens to `self.log` of a module: which values of a validation callbacks are given."""

    def __init__(self, module: pl.LightningModule) -> None:
        self.found: dict[str, Direction | None] = {}
        self._log = module.log
        self.loss_shape: tuple[int, ...] = ()
        self._directions: dict[str, Direction | None] = {}  # of what is logged, by the name given to `log`
        module.log = self._listen  # type: ignore[method-assign]

    def _listen(self, name: str, value: Any, *arguments: Any, **options: Any) -> None:
        better = value.higher_is_better if isinstance(value, Metric) else None
        directions: dict[bool | None, Direction | None] = {True: "max", False: "min", None: None}
        self._directions[name] = directions[better]
        self._log(name, value, *arguments, **options)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Remembers what the step gives: torch does not say it."""
        self.loss_shape = tuple(loss.shape)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One is enough; the validation comes next."""
        trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Where there was no batch, as none is to be trained on, there will be none in another epoch."""
        refuse_skipped_epoch(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on."""
        self._directions = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """All have logged what they log."""
        for name in trainer.callback_metrics:
            logged = next((n for n in self._directions if name in (n, f"{n}_step", f"{n}_epoch")), None)
            if logged is not None:
                self.found[name] = self._directions[logged]


def _no_scalar(error: Exception, watched: _Logged, module: pl.LightningModule) -> str | None:
    """What to say where backward is to start from several values."""
    if "implicitly created only for scalar" not in str(error) or not watched.loss_shape:
        return None
    return (
        f"module: {type(module).__name__}.training_step gives a loss of shape {watched.loss_shape}, and one number is "
        "needed: return loss.mean()"
    )


def _describe(error: Exception, module: pl.LightningModule) -> str:
    """`LitNet.training_step: RuntimeError: ...`: the last of the module's own methods on the way to the error."""
    cause = first_cause(error)
    text = " ".join(str(cause).split()) or "no message"
    return f"module: {type(module).__name__}{_method(error.__traceback__, module)}: {type(cause).__name__}: {text}"


def _method(trace: TracebackType | None, module: pl.LightningModule) -> str:
    found = ""
    while trace is not None:
        frame = trace.tb_frame
        is_own = str(frame.f_globals.get("__name__", "")).partition(".")[0] not in PACKAGES
        if is_own and frame.f_locals.get("self") is module:
            found = f".{frame.f_code.co_name}"
        trace = trace.tb_next
    return found

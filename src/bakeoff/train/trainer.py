"""The Lightning `Trainer` of one run, from its settings and its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import Logger

from bakeoff.errors import UserError
from bakeoff.module import use_lean_loop
from bakeoff.runs import lower_is_better
from bakeoff.train.budget import Budget


def trainer_for(
    settings: Mapping[str, Any],
    budget: Budget,
    folder: Path,
    loggers: Sequence[Logger],
    callbacks: Sequence[pl.Callback],
    *,
    at_rest: Callable[[], None] | None = None,
    progress_bar: bool = False,
) -> pl.Trainer:
    """A trainer that stops with the budget, validates when the budget says, and steps in the lean loop.

    `at_rest` is called after each step, when a checkpoint may be written.
    """
    trainer, clip = settings["trainer"], settings["clip"]
    clipped = next((kind for kind in ("norm", "value") if clip[kind] is not None), None)
    made = pl.Trainer(
        accelerator=trainer["accelerator"],
        devices=1,
        plugins=[LightningEnvironment()],  # one process, whatever a scheduler's variables say
        precision=trainer["precision"],
        max_epochs=-1,
        max_steps=budget.steps or -1,
        max_time=timedelta(seconds=budget.seconds) if budget.seconds else None,
        gradient_clip_val=clip[clipped] if clipped else None,
        gradient_clip_algorithm=clipped,
        callbacks=[*callbacks, *_bar(progress_bar)],
        logger=list(loggers),
        log_every_n_steps=trainer["log_every_n_steps"],
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=progress_bar,
    )
    # Lightning would end a run that gets SIGTERM where no checkpoint is written: `Stopping` ends it where one is
    made._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]
    return use_lean_loop(made, validation_due=budget.validation_due, at_rest=at_rest)


def early_stopping(settings: Mapping[str, Any], metric: str) -> list[pl.Callback]:
    """The callback that `early_stopping` asks for, if it does."""
    if settings["patience"] is None:
        return []
    stop = EarlyStopping(
        metric,
        mode="min" if lower_is_better(metric) else "max",
        patience=settings["patience"],
        min_delta=settings["min_delta"],
        check_finite=False,  # StopOnDivergence says it better
        check_on_train_epoch_end=False,
    )
    return [stop]


def check_device(settings: Mapping[str, Any]) -> None:
    """Lets Lightning refuse a device or a precision now, not in the middle of a sweep.

    Raises:
        UserError: what it says of `settings["accelerator"]` and `settings["precision"]`.

    """
    if settings["accelerator"] == "gpu" and not torch.cuda.is_available() and not torch.backends.mps.is_available():
        raise UserError("trainer=gpu, but torch finds no GPU here; use trainer=cpu or trainer=auto")
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    try:
        pl.Trainer(accelerator=settings["accelerator"], devices=1, precision=settings["precision"], **quiet)
    except Exception as error:  # each kind of accelerator and precision has errors of its own
        raise UserError(f"trainer: {str(error).splitlines()[0]}") from error


def _bar(progress_bar: bool) -> list[pl.Callback]:
    # given explicitly: where rich is installed Lightning would take its bar without being asked
    return [TQDMProgressBar(refresh_rate=20)] if progress_bar else []


def _nothing() -> None:
    pass

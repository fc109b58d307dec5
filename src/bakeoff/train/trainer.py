"""The Lightning `Trainer` of one run, from its settings and its budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar
from lightning.pytorch.loggers import Logger

from bakeoff.errors import UserError
from bakeoff.module import use_lean_loop
from bakeoff.module.logged_values import log_at_steps_made
from bakeoff.train.budget import BudgetClock, epochs_of
from bakeoff.train.fully_sharded import strategy_of
from bakeoff.train.settings import Settings, TrainerSettings

HALF = {"bf16-true": "bf16-mixed", "16-true": "16-mixed"}


def trainer_for(
    settings: Settings,
    clock: BudgetClock,
    folder: Path,
    *,
    logger: Logger,
    callbacks: Sequence[pl.Callback],
    checkpoint_io: CheckpointIO,
    environment: ClusterEnvironment | None = None,
    on_step_boundary: Callable[[], None] | None = None,
    steps_per_epoch: int | None = None,
    makes_its_steps: bool = False,
    progress_bar: bool = False,
) -> pl.Trainer:
    """A trainer that stops with the budget, validates when the budget says, and steps in the lean loop.

    Args:
        settings: the run's.
        clock: the run's budget.
        folder: the run's.
        logger: gets everything that is logged.
        callbacks: in their order.
        checkpoint_io: saves and loads checkpoints.
        environment: where this process stands among those of a run on several devices; None for a run in one process.
        on_step_boundary: called after each step and the validation behind it, when a checkpoint may be written.
        steps_per_epoch: for a user's own module, which may ask its trainer how many epochs there are.
        makes_its_steps: whether the module does (`automatic_optimization=False`): the trainer would count several steps
            a batch, and does not end the training.
        progress_bar: whether one is shown.

    """
    trainer, budget = settings.trainer, clock.budget
    clip, kind = (settings.clip.value, "value") if settings.clip.value is not None else (settings.clip.norm, "norm")
    made = pl.Trainer(
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        strategy=strategy_of(trainer),
        use_distributed_sampler=False,  # our data gives each process its share, in the order of one process
        # these processes, whatever a scheduler's variables say
        plugins=[environment or LightningEnvironment(), checkpoint_io],
        precision=trainer.precision,
        max_epochs=epochs_of(budget, steps_per_epoch),
        max_steps=-1 if makes_its_steps or budget.steps is None else budget.steps,
        max_time=timedelta(seconds=budget.seconds) if budget.seconds else None,
        accumulate_grad_batches=trainer.accumulate_grad_batches,
        gradient_clip_val=clip,
        gradient_clip_algorithm=kind if clip is not None else None,
        callbacks=[*callbacks, *_progress_bar(progress_bar)],
        logger=logger,
        log_every_n_steps=trainer.log_every_n_steps,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=progress_bar,
    )
    log_at_steps_made(made)
    return use_lean_loop(made, validation_due=clock.validation_due, on_step_boundary=on_step_boundary)


@lru_cache  # a quarter of what it takes to build a small run
def check_device(settings: TrainerSettings) -> None:
    """Lets Lightning refuse a device or a precision now, not in the middle of a sweep.

    Raises:
        UserError: what Lightning says of them.

    """
    if settings.accelerator == "gpu" and not torch.cuda.is_available() and not torch.backends.mps.is_available():
        raise UserError("trainer=gpu, but torch finds no GPU here; use trainer=cpu or trainer=auto")
    if settings.accelerator in ("auto", "gpu", "cuda") and 0 < torch.cuda.device_count() < settings.devices:
        found = torch.cuda.device_count()
        raise UserError(f"trainer.devices={settings.devices}, but torch finds {found} GPU{'s' * (found > 1)} here")
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    try:
        several: dict[str, Any] = {
            "devices": settings.devices,
            "strategy": strategy_of(settings),
            "plugins": [LightningEnvironment()],
        }
        pl.Trainer(accelerator=settings.accelerator, precision=settings.precision, **several, **quiet)
    except Exception as error:  # each kind of accelerator and precision has errors of its own
        raise UserError(f"trainer: {str(error).splitlines()[0]}") from error


def check_precision(precision: Any, task: str | None) -> None:
    """Refuses numbers of half precision as targets.

    Raises:
        UserError: it is a regression, and Lightning would make its targets half precision, too.

    """
    if task == "regression" and str(precision) in HALF:
        raise UserError(
            f"trainer.precision={precision} rounds the targets of a regression to 3 digits, and so its metrics: "
            f"use trainer.precision={HALF[str(precision)]}"
        )


def _progress_bar(progress_bar: bool) -> list[pl.Callback]:
    # given explicitly: where rich is installed Lightning would take its bar without being asked
    return [TQDMProgressBar(refresh_rate=20)] if progress_bar else []

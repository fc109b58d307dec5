"""Refuses settings that are wrong by themselves, whatever the data."""

from __future__ import annotations

from typing import Any

from bakeoff.errors import UserError, did_you_mean, require
from bakeoff.runs.execution import is_positive, is_whole
from bakeoff.train.settings import FSDP, UNITS, BudgetSettings, Settings

MAX_SEED = 2**32 - 1  # what NumPy takes
ACCUMULATE = "trainer.accumulate_grad_batches"
LOGS = ("default", "full")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", FSDP)  # of Lightning's, those that are tested here
FSDP_PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16-true")
CHECKPOINTS = ("none", "last", "best", "all")


def check_ranges(settings: Settings) -> None:
    """Refuses values out of range.

    Raises:
        UserError: names the key, the bound and the value given.

    """
    batch_size, seed, sweep, trainer = settings.batch_size, settings.seed, settings.sweep, settings.trainer
    if batch_size != "full" and not is_whole(batch_size, 1):
        raise UserError(f'batch_size must be a whole number >= 1 or "full", got {batch_size}')
    require(_is_seed(seed), "seed", f"a whole number from 0 to {MAX_SEED}", seed)
    for key, given in (("init_seed", settings.init_seed), ("data_seed", settings.data_seed)):
        require(given is None or _is_seed(given), key, f"a whole number from 0 to {MAX_SEED} or null", given)
    if settings.init_seed is not None and settings.data_seed is not None:
        raise UserError("give init_seed or data_seed, not both: seed would vary nothing")
    is_folder_name = is_whole(sweep, 0) or _is_folder_name(sweep)
    require(is_folder_name, "sweep", "the name of one folder (root=... says where)", repr(sweep))
    require(isinstance(trainer.compile, bool), "trainer.compile", "true or false", trainer.compile)
    require(is_whole(trainer.devices, 1), "trainer.devices", "a whole number >= 1", trainer.devices)
    _require_choice("trainer.strategy", trainer.strategy, STRATEGIES)
    if trainer.strategy == FSDP:
        _check_fsdp(settings)
    precision = trainer.precision
    require(precision is None or isinstance(precision, str | int), "trainer.precision", "a text or number", precision)
    require(isinstance(trainer.accelerator, str), "trainer.accelerator", "a text", trainer.accelerator)
    _require_choice("log", settings.log, LOGS)
    _require_choice("checkpoints", settings.checkpoints, CHECKPOINTS)
    every = settings.checkpoint_every
    require(is_positive(every) or every == 0, "checkpoint_every", "a number of seconds >= 0", every)
    min_delta = settings.early_stopping.min_delta
    require(is_positive(min_delta) or min_delta == 0, "early_stopping.min_delta", "a number >= 0", min_delta)
    _check_budget(settings.budget)
    _check_accumulation(settings)
    decay = settings.ema.decay
    require(decay is None or (is_positive(decay) and decay < 1), "ema.decay", "a number in (0, 1) or null", decay)
    for key, steps in (("log", trainer.log_every_n_steps), ("sample", trainer.sample_every_n_steps)):
        require(is_whole(steps, 1), f"trainer.{key}_every_n_steps", "a whole number >= 1", steps)
    clip = settings.clip
    for key, bound in (("norm", clip.norm), ("value", clip.value)):
        require(bound is None or is_positive(bound), f"clip.{key}", "a number > 0 or null", bound)
    if clip.norm is not None and clip.value is not None:
        raise UserError("give clip.norm or clip.value, not both")
    patience = settings.early_stopping.patience
    require(
        patience is None or is_whole(patience, 1), "early_stopping.patience", "a whole number >= 1 or null", patience
    )


def _check_accumulation(settings: Settings) -> None:
    batches = settings.trainer.accumulate_grad_batches
    require(is_whole(batches, 1), ACCUMULATE, "a whole number >= 1", batches)
    if batches > 1 and settings.batch_size == "full":
        raise UserError(f"{ACCUMULATE}={batches}: batch_size=full is one batch an epoch; give batch_size a number")


def _check_fsdp(settings: Settings) -> None:
    precision, key = settings.trainer.precision, f"trainer.strategy={FSDP}"
    if settings.trainer.devices == 1:
        raise UserError(f"{key} shares out the weights among devices; give trainer.devices=2 or more")
    if precision is not None and str(precision) not in FSDP_PRECISIONS:
        raise UserError(f"{key}: trainer.precision must be {' or '.join(FSDP_PRECISIONS)}, got {precision}")
    if settings.ema.decay is not None:
        raise UserError(f"{key}: ema.decay is not supported with it; give trainer.strategy=ddp")


def _is_seed(value: Any) -> bool:
    return is_whole(value, 0) and bool(value <= MAX_SEED)


def _check_budget(budget: BudgetSettings) -> None:
    for unit in UNITS:
        value, counted = getattr(budget, unit), unit in ("steps", "samples")
        fits = value is None or (is_whole(value, 1) if counted else is_positive(value))
        require(fits, f"budget.{unit}", "a whole number >= 1" if counted else "a number > 0", value)
    count = budget.validations
    require(count is None or is_whole(count, 1), "budget.validations", "a whole number >= 1 or null", count)


def _require_choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
    require(value in choices, key, expected, f"{value}{did_you_mean(str(value), choices)}")


def _is_folder_name(value: Any) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")

"""At which step Lightning writes what a module logs, and what it has added up for the epoch under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor


def steps_made(trainer: pl.Trainer) -> int:
    """Optimizer steps; batches, where a module makes its steps itself, and may make several with each."""
    if trainer.lightning_module.automatic_optimization:
        return trainer.global_step
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.processed)  # type: ignore[attr-defined]


def skipped_rest_of_epoch(trainer: pl.Trainer) -> bool:
    """At the end of an epoch: whether the module has ended it before its last batch (`on_train_batch_start`: -1)."""
    seen: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return bool(seen.processed != seen.completed)


def log_at_steps_made(trainer: pl.Trainer) -> None:
    """What `self.log` logs stands at the number of steps made, as all of ours does; Lightning counts one too few."""
    connector = trainer._logger_connector
    log_metrics = connector.log_metrics

    def log_at_step(metrics: Any, step: int | None = None) -> None:
        if step is not None and not trainer.training:  # each batch of a validation, by its number: no curve over steps
            return
        log_metrics(metrics, steps_made(trainer) if step is None and "step" not in metrics else step)

    connector.log_metrics = log_at_step  # type: ignore[method-assign]


def epoch_sums(trainer: pl.Trainer) -> dict[str, dict[str, Tensor]]:
    """What `self.log(..., on_epoch=True)` has added up in the epoch of training under way, by Lightning's key."""
    results = trainer.fit_loop.epoch_loop._results
    logged = {key: result for key, result in results.items() if result.is_tensor and result.meta.on_epoch}
    names = ("value", "cumulated_batch_size")
    return {
        key: {name: getattr(result, name).detach().cpu().clone() for name in names if hasattr(result, name)}
        for key, result in logged.items()
        if not result.has_reset
    }


def add_epoch_sums(trainer: pl.Trainer, kept: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Mapping[str, Tensor]]:
    """Adds what `epoch_sums` gave to what is logged now; returns what has not been logged yet."""
    results, waiting = trainer.fit_loop.epoch_loop._results, {}
    for key, sums in kept.items():
        result = results.get(key)
        if result is None or result.has_reset:
            waiting[key] = sums
            continue
        value = sums["value"].to(result.value)
        if result.meta.is_max_reduction or result.meta.is_min_reduction:
            result.value = result.meta.reduce_fx(value, result.value)
        else:
            result.value = value + result.value
        if "cumulated_batch_size" in sums:
            result.cumulated_batch_size = sums["cumulated_batch_size"].to(value.device) + result.cumulated_batch_size
    return waiting

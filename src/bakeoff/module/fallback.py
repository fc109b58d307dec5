"""When Lightning's own loop is needed: the one eligibility check of the lean loop."""

from __future__ import annotations

import logging
from functools import lru_cache

import lightning.pytorch as pl
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

log = logging.getLogger(__name__)

STEP_METHODS = (
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "lr_scheduler_step",
    "configure_gradient_clipping",
)


def fallback_reason(trainer: pl.Trainer) -> str | None:
    """The first reason why Lightning's own loop is needed; None where the lean loop can be used."""
    module = trainer.lightning_module
    overridden = [name for name in STEP_METHODS if overrides(module, pl.LightningModule, name)]
    reasons = {
        "several devices": type(trainer.strategy) is not SingleDeviceStrategy,
        "mixed precision": type(trainer.precision_plugin) is not Precision,
        "gradient accumulation": trainer.accumulate_grad_batches != 1,
        "manual optimization": not module.automatic_optimization,
        "no single optimizer": len(trainer.optimizers) != 1,
        "a profiler": type(trainer.profiler) is not PassThroughProfiler,  # type: ignore[attr-defined]
        f"the module's own {', '.join(overridden)}": bool(overridden),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def overrides(instance: object, base: type, name: str) -> bool:
    """Whether the instance, or its class, has its own version of a method of `base`."""
    return getattr(type(instance), name, None) is not getattr(base, name, None) or name in vars(instance)


@lru_cache
def log_fallback_once(reason: str) -> None:
    """Logs the reason, once a process for each."""
    log.info("training uses Lightning's own loop, which is slower: %s", reason)

"""The LightningModule of one run, from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torchmetrics import Metric

from bakeoff.module import SupervisedModule
from bakeoff.module.sharded_module import ShardedModule
from bakeoff.train.parts import OwnModuleParts, Parts, SupervisedParts
from bakeoff.train.scheduler import SchedulerFactory
from bakeoff.train.settings import FSDP, Settings


def module_for(
    parts: Parts,
    settings: Settings,
    lr_factor: Callable[[int], float] | None = None,
    option_factors: Mapping[str, Callable[[int], float]] | None = None,
) -> pl.LightningModule:
    """A user's own as it is; else ours, of net, loss and optimizer.

    Args:
        parts: the run's.
        settings: the run's.
        lr_factor: optimizer step -> factor of the learning rate, of our module.
        option_factors: the same for other options of the optimizer, by name.

    """
    if isinstance(parts, OwnModuleParts):
        return parts.module
    assert isinstance(parts, SupervisedParts)
    trainer = settings.trainer
    net: Any = torch.compile(parts.net) if trainer.compile else parts.net
    return supervised_module(
        parts,
        net,
        parts.loss,
        parts.metrics,
        module=ShardedModule if trainer.strategy == FSDP else SupervisedModule,
        lr_factor=lr_factor,
        ema_decay=settings.ema.decay,
        option_factors=option_factors,
        log_every_n_steps=trainer.log_every_n_steps,
        sample_every_n_steps=trainer.sample_every_n_steps,
    )


def supervised_module(
    parts: SupervisedParts,
    net: nn.Module,
    loss: Any,
    metrics: Mapping[str, Metric],
    *,
    module: type[SupervisedModule] = SupervisedModule,
    lr_factor: Callable[[int], float] | None = None,
    ema_decay: float | None = None,
    option_factors: Mapping[str, Callable[[int], float]] | None = None,
    **intervals: int,
) -> SupervisedModule:
    """The module with this net, this loss and these metrics, which are those of `parts` or copies of them.

    `module` is its class; `lr_factor`, `ema_decay`, `option_factors` and `intervals` are those of `SupervisedModule`.
    """
    return module(
        net,
        loss,
        parts.optimizer,
        n_out=parts.reads.n_out,
        task=parts.reads.kind,
        class_axis=parts.reads.class_axis,
        loss_takes_prediction=parts.loss_takes_prediction,
        metrics=metrics,
        param_groups=parts.param_groups,
        lr_factor=lr_factor,
        option_factors=option_factors,
        lr_scheduler=parts.schedule if isinstance(parts.schedule, SchedulerFactory) else None,
        ema_decay=ema_decay,
        target_std=parts.spec.target_std,
        target_mean=parts.spec.target_mean,
        **intervals,
    )

"""The LightningModule of one run, from its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch

from bakeoff.module import SupervisedModule
from bakeoff.train.parts import OwnModuleParts, Parts, SupervisedParts
from bakeoff.train.settings import Settings


def module_for(parts: Parts, settings: Settings, lr_factor: Callable[[int], float] | None = None) -> pl.LightningModule:
    """A user's own as it is; else ours, of net, loss and optimizer.

    Args:
        parts: the run's.
        settings: the run's.
        lr_factor: optimizer step -> factor of the learning rate, of our module.

    """
    if isinstance(parts, OwnModuleParts):
        return parts.module
    assert isinstance(parts, SupervisedParts)
    assert parts.n_out is not None
    trainer = settings.trainer
    net: Any = torch.compile(parts.net) if trainer.compile else parts.net
    return SupervisedModule(
        net,
        parts.loss,
        parts.optimizer,
        n_out=parts.n_out,
        task=parts.task,
        lr_factor=lr_factor,
        target_std=parts.spec.target_std,
        log_every_n_steps=trainer.log_every_n_steps,
        sample_every_n_steps=trainer.sample_every_n_steps,
    )

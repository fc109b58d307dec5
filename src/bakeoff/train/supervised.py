"""Our Lightning module, made of the parts of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torchmetrics import Metric

from bakeoff.module import SupervisedModule
from bakeoff.train.parts import SupervisedParts


def supervised_module(
    parts: SupervisedParts,
    net: nn.Module,
    loss: Any,
    metrics: Mapping[str, Metric],
    *,
    lr_factor: Callable[[int], float] | None = None,
    **intervals: int,
) -> SupervisedModule:
    """The module with this net, this loss and these metrics, which are those of `parts` or copies of them.

    `lr_factor` and `intervals` are those of `SupervisedModule`.
    """
    return SupervisedModule(
        net,
        loss,
        parts.optimizer,
        n_out=parts.reads.n_out,
        task=parts.reads.kind,
        class_axis=parts.reads.class_axis,
        loss_takes_prediction=parts.loss_takes_prediction,
        metrics=metrics,
        lr_factor=lr_factor,
        target_std=parts.spec.target_std,
        target_mean=parts.spec.target_mean,
        **intervals,
    )

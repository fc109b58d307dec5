"""What the metrics of every task share: they are updated by batches, and give their values at the end of a pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from bakeoff.module.counted import WeightedMean
from bakeoff.module.shapes import misfit
from bakeoff.module.shares import is_shared
from bakeoff.runs.metrics import metric_names


class Metrics:
    """The metrics of one pass over a validation or test set, the loss included.

    No part of the module that uses them: they follow the outputs from device to device, but keep their precision where
    Lightning turns a module into half precision, in which a sum soon grows no further.

    Args:
        task: one of `bakeoff.module.task.KINDS`.
        metrics: name -> metric, beside the loss. They are kept in the order of `metric_names(task)`.

    Raises:
        ValueError: a name is not in the table of metrics for this task.

    """

    def __init__(self, task: str, metrics: Mapping[str, Metric]) -> None:
        known = metric_names(task)
        if unknown := sorted(set(metrics) - set(known)):
            raise ValueError(f"metrics for {task} must be among {', '.join(known)}, got {', '.join(unknown)}")
        every = {"loss": MeanMetric(nan_strategy="disable"), **metrics}
        self.metrics = {name: every[name] for name in known if name in every}

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """Adds one batch: `losses` (N, ...), or a scalar that is their mean; shapes as in `bakeoff.module.shapes`."""
        raise NotImplementedError

    def compute(self) -> dict[str, Tensor]:
        """Name -> value, over all batches since the last `reset`; NaN where they hold too little.

        Raises:
            ValueError: there was no batch.

        """
        if not self.metrics["loss"].update_called:
            raise ValueError("there was no batch to measure: the loader gave none in this pass")
        return {name: value_of(metric) for name, metric in self.metrics.items()}

    def reset(self) -> None:
        """Discards all batches."""
        for metric in self.metrics.values():
            metric.reset()

    def update_loss(self, losses: Tensor, n: int, weight: Tensor | None = None) -> None:
        """Adds the losses of a batch, or their mean.

        `weight` is what that weighs in the mean over batches, where it is not the number of examples `n`.
        """
        if weight is None:
            # a value for each example: torchmetrics 1.9 ignores weights where it does not check for NaN
            self.metrics["loss"].update((losses if losses.ndim else losses.expand(n)).float())
            return
        if not isinstance(self.metrics["loss"], WeightedMean):
            self.metrics["loss"] = WeightedMean().to(losses.device)
        self.metrics["loss"].update(losses, weight)

    def move_to(self, device: torch.device) -> None:
        """Moves what has been added up to the device of the next batch."""
        for metric in self.metrics.values():
            if metric.device != device:
                metric.to(device)


def check_fit(output: Any, target: Tensor, *, task: str, n_out: int) -> None:
    """Refuses shapes that the metrics of a task do not fit.

    Raises:
        ValueError: says which would.

    """
    reason = misfit(output, target, task=task, n_out=n_out)
    if reason is not None:
        raise ValueError(f"the net {reason}")


def value_of(metric: Any, *shape: int) -> Tensor:
    """What a metric computes; NaN for one that was given nothing.

    Where several processes measure together each must take part, also one that was given nothing itself.
    """
    if not metric.update_called and not is_shared():
        return torch.full(shape, math.nan)
    value: Tensor = metric.compute()
    return value

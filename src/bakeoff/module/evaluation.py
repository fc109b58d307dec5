"""All metrics of one pass over a validation or test set: ours, and those that a user names beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from bakeoff.module.given_metrics import GivenMetrics
from bakeoff.module.metrics import metrics_for
from bakeoff.module.task import Task


class Evaluation:
    """Takes in batches, and gives name -> value.

    Args:
        task: what a prediction is.
        metrics: a user's, by name.
        std: what regression targets were divided by, one number or one a column.
        mean: what was subtracted from them before.
        loss: whose `ignore_index`, where it has one, is left out of every metric.

    """

    def __init__(
        self,
        task: Task,
        metrics: Mapping[str, Metric] | None = None,
        *,
        std: float | Sequence[float] = 1.0,
        mean: float | Sequence[float] = 0.0,
        loss: Any = None,
    ) -> None:
        self._ours = metrics_for(task.kind, task.n_out, std, loss)
        self._given = GivenMetrics(metrics or {}, task.kind, std=std, mean=mean, loss=loss)

    def update(self, losses: Tensor, prediction: Tensor, target: Tensor) -> None:
        """Adds one batch: `losses` (N, ...), or a scalar that is their mean; the classes of `prediction` at axis 1.

        Raises:
            ValueError: a metric does not take them.

        """
        self._ours.update(losses, prediction, target)
        self._given.update(prediction, target)

    def compute(self) -> dict[str, Tensor]:
        """Name -> value, over all batches since the last `reset`; NaN where they hold too little.

        Raises:
            ValueError: there was no batch, or a user's metric gives more than one number.

        """
        return {**self._ours.compute(), **self._given.compute()}

    def reset(self) -> None:
        """Discards all batches."""
        self._ours.reset()
        self._given.reset()

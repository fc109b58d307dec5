"""Metrics that do not depend on the loss, so that arms with different losses can be compared.

Classification: accuracy, top-5 accuracy (with more than five classes), negative log-likelihood of the softmax of the
logits, expected calibration error (Guo et al. 2017, 15 equal bins). Regression: RMSE, MAE, R², in the target's own
units. torchmetrics computes them. Their names, directions and units are in `bakeoff.runs.METRICS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from bakeoff.runs.metrics import metric_names


class Metrics(nn.Module):
    """The metrics of one pass over a validation or test set, the loss included.

    Args:
        task: `classification` or `regression`.
        metrics: name -> metric, beside the loss. They are kept in the order of `metric_names(task)`.

    Raises:
        ValueError: a name is not in the table of metrics for this task.

    """

    def __init__(self, task: str, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        known = metric_names(task)
        if unknown := sorted(set(metrics) - set(known)):
            raise ValueError(f"metrics for {task} must be among {', '.join(known)}, got {', '.join(unknown)}")
        every = {"loss": MeanMetric(nan_strategy="disable"), **metrics}
        self.metrics = nn.ModuleDict({name: every[name] for name in known if name in every})

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """Adds one batch: `losses` (N,) or a scalar, `output` (N, C) or (N, D), `target` (N,) or (N, D)."""
        # a value for each example: torchmetrics 1.9 ignores weights where it does not check for NaN
        self._metric("loss").update((losses if losses.ndim else losses.expand(target.shape[0])).float())

    def compute(self) -> dict[str, Tensor]:
        """Name -> value, over all batches since the last `reset`."""
        return {name: self._metric(name).compute() for name in self.metrics}

    def reset(self) -> None:
        """Discards all batches."""
        for name in self.metrics:
            self._metric(name).reset()

    def _metric(self, name: str) -> Metric:
        metric = self.metrics[name]
        assert isinstance(metric, Metric)
        return metric


class ClassificationMetrics(Metrics):
    """`n_out` is the number of classes; outputs are logits (N, n_out), targets class indices (N,)."""

    def __init__(self, n_out: int) -> None:
        metrics: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(n_out, average="micro", validate_args=False),
            "nll": MeanMetric(nan_strategy="disable"),
            "ece": MulticlassCalibrationError(n_out, n_bins=15, validate_args=False),
        }
        if n_out > 5:
            metrics["top5"] = MulticlassAccuracy(n_out, average="micro", top_k=5, validate_args=False)
        super().__init__("classification", metrics)

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`."""
        super().update(losses, output, target)
        output = output.float()
        # torchmetrics treats values outside [0, 1] as logits and values inside as probabilities: pass the latter
        probabilities = output.softmax(dim=-1)
        for name in ("accuracy", "top5", "ece"):
            if name in self.metrics:
                self._metric(name).update(probabilities, target)
        self._metric("nll").update(F.cross_entropy(output, target, reduction="none"))


class RegressionMetrics(Metrics):
    """Outputs and targets are (N,), (N, 1) or (N, D), divided by `std`; metrics are in the units before that."""

    def __init__(self, std: float = 1.0) -> None:
        metrics: dict[str, Metric] = {
            "rmse": MeanSquaredError(squared=False),
            "mae": MeanAbsoluteError(),
            # in float64: its sums of squares cancel in float32 where the mean is large beside the deviation
            "r2": R2Score().set_dtype(torch.float64),
        }
        super().__init__("regression", metrics)
        self.std = std

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`."""
        super().update(losses, output, target)
        output, target = (_squeeze_single_column(t.double()) for t in (output, target))
        self._metric("r2").update(output, target)  # the same in any units; a mean over columns
        for name in ("rmse", "mae"):
            self._metric(name).update((output * self.std).flatten().float(), (target * self.std).flatten().float())


def _squeeze_single_column(values: Tensor) -> Tensor:
    """(N, 1) as (N,), which torchmetrics reads as one output; other shapes unchanged."""
    return values.squeeze(1) if values.ndim == 2 and values.shape[1] == 1 else values


def metrics_for(task: str, n_out: int, std: float = 1.0) -> Metrics:
    """The metrics that fit a task, `classification` or `regression`; `std` is that of `RegressionMetrics`."""
    return ClassificationMetrics(n_out) if task == "classification" else RegressionMetrics(std)

"""Metrics that do not depend on the loss, so that arms with different losses can be compared.

Classification: accuracy, top-5 accuracy (with more than five classes), negative log-likelihood of the softmax of the
logits, expected calibration error (Guo et al. 2017, 15 equal bins). Regression: RMSE, MAE, R², in the target's own
units. torchmetrics computes them; this file names them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError


class Metrics(nn.Module):
    """The metrics of one pass over a validation or test set, with the loss itself among them."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = nn.ModuleDict()
        self.metrics["loss"] = MeanMetric(nan_strategy="disable")

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """Takes in one batch: `losses` (N,) or a scalar, `output` (N, C) or (N, D), `target` (N,) or (N, D)."""
        # a value for each example: torchmetrics 1.9 ignores weights where it does not look for NaN
        self._metric("loss").update((losses if losses.ndim else losses.expand(target.shape[0])).float())

    def compute(self) -> dict[str, Tensor]:
        """Name to value, over all batches since the last `reset`."""
        return {name: self._metric(name).compute() for name in self.metrics}

    def reset(self) -> None:
        """Forgets all batches."""
        for name in self.metrics:
            self._metric(name).reset()

    def _metric(self, name: str) -> Metric:
        metric = self.metrics[name]
        assert isinstance(metric, Metric)
        return metric


class ClassificationMetrics(Metrics):
    """`n_out` is the number of classes; outputs are logits (N, n_out), targets class indices (N,)."""

    def __init__(self, n_out: int) -> None:
        super().__init__()
        self.metrics["accuracy"] = MulticlassAccuracy(n_out, average="micro", validate_args=False)
        if n_out > 5:
            self.metrics["top5"] = MulticlassAccuracy(n_out, average="micro", top_k=5, validate_args=False)
        self.metrics["nll"] = MeanMetric(nan_strategy="disable")
        self.metrics["ece"] = MulticlassCalibrationError(n_out, n_bins=15, validate_args=False)

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`."""
        super().update(losses, output, target)
        output = output.float()
        # torchmetrics takes values outside [0, 1] for logits, and values inside for probabilities: say which.
        probabilities = output.softmax(dim=-1)
        for name in ("accuracy", "top5", "ece"):
            if name in self.metrics:
                self._metric(name).update(probabilities, target)
        self._metric("nll").update(F.cross_entropy(output, target, reduction="none"))


class RegressionMetrics(Metrics):
    """Outputs and targets are (N,), (N, 1) or (N, D), standardised by `std`; metrics are in units of y."""

    def __init__(self, std: float = 1.0) -> None:
        super().__init__()
        self.std = std
        self.metrics["rmse"] = MeanSquaredError(squared=False)
        self.metrics["mae"] = MeanAbsoluteError()
        # its sums of squares cancel in float32 where the mean is large beside the deviation
        self.metrics["r2"] = R2Score().set_dtype(torch.float64)

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`."""
        super().update(losses, output, target)
        output, target = (_columns(t.double()) for t in (output, target))
        self._metric("r2").update(output, target)  # the same in any units; a mean over columns
        for name in ("rmse", "mae"):
            self._metric(name).update((output * self.std).flatten().float(), (target * self.std).flatten().float())


def _columns(values: Tensor) -> Tensor:
    """(N,) and (N, 1) as (N,), which torchmetrics takes for one output; more columns as they are."""
    return values.squeeze(1) if values.ndim == 2 and values.shape[1] == 1 else values


def metrics_for(task: str, n_out: int, std: float = 1.0) -> Metrics:
    """The metrics that fit a task: `classification` or `regression`."""
    return ClassificationMetrics(n_out) if task == "classification" else RegressionMetrics(std)

"""Metrics that do not depend on the loss, so that arms with different losses can be compared.

Classification: accuracy, top-5 accuracy (with more than five classes), negative log-likelihood of the softmax of the
logits, expected calibration error (Guo et al. 2017, 15 equal bins), over all labels that the loss does not ignore.
Regression: RMSE, MAE, R², in the targets' own units. torchmetrics computes them. Their names, directions and units are
in `bakeoff.runs.METRICS`, the shapes that they fit in `bakeoff.module.shapes`.

Targets of D columns:
    rmse = sqrt(1/(N D) Σ_nd e_nd²)     the column with the largest errors decides it; rmse/<d> is that of one column
    mae  = 1/(N D) Σ_nd |e_nd|
    r2   = 1/D Σ_d r2/<d>               free of units
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from bakeoff.module.counted import BinnedCalibrationError, CountedLabels, WeightedMean
from bakeoff.module.r2 import ColumnR2
from bakeoff.module.shapes import misfit
from bakeoff.runs.metrics import has_columns, metric_names

N_BINS = 15


class Metrics:
    """The metrics of one pass over a validation or test set, the loss included.

    No part of the module that uses them: they follow the outputs from device to device, but keep their precision where
    Lightning turns a module into half precision, in which a sum soon grows no further.

    Args:
        task: `classification` or `regression`.
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
        return {name: _value(metric) for name, metric in self.metrics.items()}

    def reset(self) -> None:
        """Discards all batches."""
        for metric in self.metrics.values():
            metric.reset()

    def _update_loss(self, losses: Tensor, n: int, weight: Tensor | None = None) -> None:
        """`weight` is what a scalar weighs in the mean over batches, where that is not the number of examples `n`."""
        if weight is None:
            # a value for each example: torchmetrics 1.9 ignores weights where it does not check for NaN
            self.metrics["loss"].update((losses if losses.ndim else losses.expand(n)).float())
            return
        if not isinstance(self.metrics["loss"], WeightedMean):
            self.metrics["loss"] = WeightedMean().to(losses.device)
        self.metrics["loss"].update(losses, weight)

    def _move_to(self, device: torch.device) -> None:
        for metric in self.metrics.values():
            if metric.device != device:
                metric.to(device)


class ClassificationMetrics(Metrics):
    """Outputs are logits (N, n_out, d1, ...), targets class indices (N, d1, ...).

    Args:
        n_out: the number of classes.
        counted: which labels the loss counts.

    """

    def __init__(self, n_out: int, counted: CountedLabels | None = None) -> None:
        metrics: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(n_out, average="micro", validate_args=False),
            "nll": MeanMetric(nan_strategy="disable"),
            "ece": MulticlassCalibrationError(n_out, n_bins=N_BINS, validate_args=False),
        }
        if n_out > 5:
            metrics["top5"] = MulticlassAccuracy(n_out, average="micro", validate_args=False)
        super().__init__("classification", metrics)
        self.n_out, self._counted = n_out, counted or CountedLabels()

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`.

        Raises:
            ValueError: shapes or labels that these metrics do not fit.

        """
        check_fit(output, target, task="classification", n_out=self.n_out)
        self._move_to(output.device)
        if output.ndim > 2 and not isinstance(self.metrics["ece"], BinnedCalibrationError):
            self.metrics["ece"] = BinnedCalibrationError(N_BINS).to(output.device)
        output, labels = _one_row_a_label(output), target.flatten().long()
        mask = self._counted.mask(labels)
        if mask is not None:
            output, labels = output[mask], labels[mask]
        self._counted.check(labels, self.n_out)
        self._update_loss(losses, len(target), None if losses.ndim else self._counted.weight(labels))
        if not len(labels):  # all are ignored; some metrics cannot be given nothing
            return
        output = output.float()
        # as classes and bins, not as probabilities: a softmax makes equal what logits tell apart
        predicted = output.argmax(dim=1)
        self.metrics["accuracy"].update(predicted, labels)
        if "top5" in self.metrics:
            among = (output.topk(5, dim=1).indices == labels[:, None]).any(dim=1)
            self.metrics["top5"].update(torch.where(among, labels, (labels + 1) % self.n_out), labels)
        confidence = output.softmax(dim=-1).amax(dim=1, keepdim=True)
        self.metrics["ece"].update(torch.zeros_like(output).scatter_(1, predicted[:, None], confidence), labels)
        self.metrics["nll"].update(F.cross_entropy(output, labels, reduction="none"))


class RegressionMetrics(Metrics):
    """Outputs and targets are (N,), (N, 1) or (N, D), divided by `std`; metrics are in the units before that.

    Args:
        std: one number, or one for each column.
        n_out: the number of columns D. Where there are a few, RMSE and R² are given for each of them, too.

    """

    def __init__(self, std: float | Sequence[float] = 1.0, n_out: int = 1) -> None:
        metrics: dict[str, Metric] = {
            "rmse": MeanSquaredError(squared=False).set_dtype(torch.float64),
            "mae": MeanAbsoluteError().set_dtype(torch.float64),
            "r2": ColumnR2(n_out),
        }
        super().__init__("regression", metrics)
        self.n_out, self.std = n_out, std
        self._by_column = None
        if has_columns(n_out):
            self._by_column = MeanSquaredError(squared=False, num_outputs=n_out).set_dtype(torch.float64)

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`.

        Raises:
            ValueError: shapes that these metrics do not fit.

        """
        check_fit(output, target, task="regression", n_out=self.n_out)
        self._move_to(output.device)
        self._update_loss(losses, len(target))
        output, target = (_squeeze_single_column(t.double()) for t in (output, target))
        std: Any = self.std
        if isinstance(std, Sequence):
            std = torch.tensor(std, dtype=output.dtype, device=output.device)
        scaled = output * std, target * std
        self.metrics["r2"].update(*(t.reshape(len(t), -1) for t in (output, target)))  # the same in any units
        for name in ("rmse", "mae"):
            self.metrics[name].update(*(t.flatten() for t in scaled))
        if self._by_column is not None:
            self._by_column.to(output.device).update(*scaled)

    def compute(self) -> dict[str, Tensor]:
        """See `Metrics.compute`; with `rmse/0` and so on, for each column."""
        found = super().compute()
        r2 = found["r2"]
        found["r2"] = r2.mean()
        if self._by_column is None:
            return found
        columns = {"rmse": _value(self._by_column, self.n_out), "r2": r2}
        return found | {f"{name}/{d}": v for name, values in columns.items() for d, v in enumerate(values)}

    def reset(self) -> None:
        """See `Metrics.reset`."""
        super().reset()
        if self._by_column is not None:
            self._by_column.reset()


def check_fit(output: Any, target: Tensor, *, task: str, n_out: int) -> None:
    """Refuses shapes that the metrics of a task do not fit.

    Raises:
        ValueError: says which would.

    """
    reason = misfit(output, target, task=task, n_out=n_out)
    if reason is not None:
        raise ValueError(f"the net {reason}")


def _value(metric: Any, *shape: int) -> Tensor:
    """What a metric computes; NaN for one that was given nothing."""
    if not metric.update_called:
        return torch.full(shape, math.nan)
    value: Tensor = metric.compute()
    return value


def _one_row_a_label(output: Tensor) -> Tensor:
    """(N, C, d1, ...) as (N d1 ..., C)."""
    return output if output.ndim == 2 else output.movedim(1, -1).flatten(0, -2)


def _squeeze_single_column(values: Tensor) -> Tensor:
    """(N, 1) as (N,), which torchmetrics reads as one output; other shapes unchanged."""
    return values.squeeze(1) if values.ndim == 2 and values.shape[1] == 1 else values


def metrics_for(task: str, n_out: int, std: float | Sequence[float] = 1.0, loss: Any = None) -> Metrics:
    """The metrics that fit a task, `classification` or `regression`.

    Args:
        task: the task.
        n_out: the number of classes, or of columns.
        std: that of `RegressionMetrics`.
        loss: whose `ignore_index`, where it has one, is left out of every metric.

    """
    if task == "classification":
        return ClassificationMetrics(n_out, CountedLabels(loss))
    return RegressionMetrics(std, n_out)

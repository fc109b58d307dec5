"""Which labels a loss counts, and what each weighs in the mean that it returns."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric


class CountedLabels:
    """Reads it off a loss: its attribute or bound argument `ignore_index`, and the class weights of torch's own losses.

    torch's cross entropy is the weighted mean over the labels of a batch that it does not ignore, so that the loss over
    a set is the mean over batches by the sum of these weights, not by the number of examples.
    """

    def __init__(self, loss: Any = None) -> None:
        index = getattr(loss, "ignore_index", None)
        if isinstance(loss, functools.partial):
            index = loss.keywords.get("ignore_index")
        self.ignored = index if isinstance(index, int) and not isinstance(index, bool) else None
        self._loss = loss

    def mask(self, labels: Tensor) -> Tensor | None:
        """True where a label counts; None where all do."""
        return None if self.ignored is None else labels != self.ignored

    def weight(self, labels: Tensor) -> Tensor | None:
        """What the mean over a batch with these labels, none of them ignored, weighs; None for its examples."""
        weight = self._class_weights()
        if weight is not None:
            return weight[labels].sum()
        return None if self.ignored is None else torch.tensor(float(labels.numel()), device=labels.device)

    def _class_weights(self) -> Tensor | None:
        if isinstance(self._loss, nn.CrossEntropyLoss | nn.NLLLoss):
            return self._loss.weight
        if isinstance(self._loss, functools.partial) and self._loss.func in (F.cross_entropy, F.nll_loss):
            weight: Tensor | None = self._loss.keywords.get("weight")
            return weight
        return None

    def check(self, labels: Tensor, n_out: int) -> None:
        """Refuses labels that are no classes.

        Raises:
            ValueError: names one of them.

        """
        if labels.numel():
            low, high = (int(label) for label in labels.aminmax())
            if low < 0 or high >= n_out:
                label = low if low < 0 else high
                raise ValueError(
                    f"the targets hold the label {label}, but there are {n_out} classes, 0 to {n_out - 1}; "
                    f"where the loss ignores it, give the loss an attribute ignore_index={label}"
                )


def check_labels(target: Tensor, n_out: int, loss: Any) -> None:
    """Refuses targets (N, ...) that hold a label which is no class, and which the loss does not say that it ignores.

    Raises:
        ValueError: names it.

    """
    counted, labels = CountedLabels(loss), target.flatten().long()
    mask = counted.mask(labels)
    counted.check(labels if mask is None else labels[mask], n_out)


class WeightedMean(Metric):
    """The mean of values by their weights, in float64."""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, value: Tensor, weight: Tensor) -> None:
        """Adds one value; one of weight 0, which may be NaN, adds nothing."""
        self.total += torch.where(weight > 0, value.double() * weight, 0.0)
        self.weight += weight

    def compute(self) -> Tensor:
        """NaN where nothing was added."""
        return self.total / self.weight


class BinnedCalibrationError(Metric):
    """Expected calibration error from sums over bins: of dense outputs there are too many to keep each confidence.

    The same number as torchmetrics' `MulticlassCalibrationError`, which keeps them all, and adds in float32, where a
    bin of more than 2^24 elements would grow no further.
    """

    sums: Tensor

    def __init__(self, n_bins: int) -> None:
        super().__init__()
        # rows: elements, sum of confidences, right ones
        self.add_state("sums", torch.zeros(3, n_bins, dtype=torch.float64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)
        self.n_bins = n_bins

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Adds elements: probabilities (M, C), labels (M,)."""
        confidence, predicted = probabilities.max(dim=1)
        edges = torch.linspace(0, 1, self.n_bins + 1, device=confidence.device)
        bins = (torch.bucketize(confidence, edges, right=True) - 1).clamp_max(self.n_bins - 1)
        rows = torch.stack([torch.ones_like(confidence), confidence, (predicted == labels).to(confidence.dtype)])
        self.sums.scatter_add_(1, bins.expand_as(rows), rows.double())

    def compute(self) -> Tensor:
        """The mean over elements of |right - confidence| of their bin."""
        count, confidence, right = self.sums
        error: Tensor = (right - confidence).abs().sum() / count.sum()
        return error

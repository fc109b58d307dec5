"""Metrics of labels that torchmetrics has not, or has otherwise.

    balanced accuracy      1/C' Σ_c recall_c over the C' classes that have examples, as in scikit-learn; torchmetrics
                           counts a class without any as 0 as soon as it is predicted
    perplexity             exp(nll), nll = -1/M Σ_m log p_m of the right label, in nats per label (token)
    bits per character     nll / ln 2, where a label is a character

For `metrics=balanced_accuracy` and so on. Each is updated with log-probabilities (N, C, d1, ...) and labels
(N, d1, ...).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from bakeoff.module.loss_arguments import rows_of


class BalancedAccuracy(Metric):
    """The mean over classes of the fraction of their examples that are predicted right.

    Args:
        num_classes: C.

    """

    higher_is_better = True
    right: Tensor
    count: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("right", "count"):
            self.add_state(name, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, log_probabilities: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        is_right = (log_probabilities.argmax(dim=1) == target).flatten().long()
        self.count += torch.bincount(target.flatten(), minlength=len(self.count))
        self.right.scatter_add_(0, target.flatten(), is_right)

    def compute(self) -> Tensor:
        """In [0, 1]."""
        seen = self.count > 0
        return (self.right[seen].double() / self.count[seen]).mean()


class _NegativeLogLikelihood(Metric):
    """The sum over labels of -log p, in float64."""

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, log_probabilities: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        rows = rows_of(log_probabilities)
        self.total -= rows.gather(1, target.flatten()[:, None]).double().sum()
        self.count += target.numel()

    def nats(self) -> Tensor:
        """Per label."""
        return self.total / self.count


class Perplexity(_NegativeLogLikelihood):
    """exp(nll): the number of labels among which a uniform choice would be as uncertain."""

    def compute(self) -> Tensor:
        """At least 1."""
        return self.nats().exp()


class BitsPerCharacter(_NegativeLogLikelihood):
    """nll / ln 2."""

    def compute(self) -> Tensor:
        """At least 0."""
        return self.nats() / math.log(2)

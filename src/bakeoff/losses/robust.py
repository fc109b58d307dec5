"""Regression losses that are less sensitive to outliers than the squared error: their gradient is bounded.

    absolute error   ℓ(f, t) = 1/D Σ_d |r_d|,    r = f - t
    Huber            ℓ(f, t) = 1/D Σ_d h(r_d),   h(r) = r² / 2             where |r| <= δ
                                                        δ (|r| - δ / 2)    elsewhere

f predictions, t targets, D their number, δ delta: the residual at which Huber's loss changes from a
parabola, half the squared error, to a line.

Huber 1964, "Robust estimation of a location parameter".
Both, compared: Hastie, Tibshirani & Friedman 2009, "The elements of statistical learning", section 10.6.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.losses._checks import Task, align, check_positive


def absolute_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """1/D Σ_d |r_d|: predictions and targets (N,) or (N, D), where (N,) counts as (N, 1) -> (N,).

    Raises ValueError on shapes that differ otherwise.

    >>> import torch
    >>> absolute_error(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [0.5, 0.5]]))
    tensor([1.0000, 0.5000])
    """
    p, t = align(predictions, targets)
    return (p - t).abs().flatten(1).mean(1)


def huber(predictions: Tensor, targets: Tensor, *, delta: float = 1.0) -> Tensor:
    """1/D Σ_d h(r_d): predictions and targets (N,) or (N, D), where (N,) counts as (N, 1) -> (N,).

    Raises ValueError on shapes that differ otherwise.

    >>> import torch
    >>> huber(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))  # 0.5² / 2 and 3 - 1 / 2
    tensor([0.1250, 2.5000])
    """
    p, t = align(predictions, targets)
    return F.huber_loss(p, t, reduction="none", delta=delta).flatten(1).mean(1)


class AbsoluteError(nn.Module):
    """`absolute_error`, which has no hyperparameter.

    >>> import torch
    >>> AbsoluteError()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor([0., 2.])
    """

    task: ClassVar[Task] = "regression"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return absolute_error(output, target)


class Huber(nn.Module):
    """`huber` with a fixed delta, in the units of the targets. Raises ValueError unless it is > 0 and finite.

    >>> import torch
    >>> Huber(delta=2.0)(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))  # 0.5² / 2 and 2 (3 - 2 / 2)
    tensor([0.1250, 4.0000])
    """

    task: ClassVar[Task] = "regression"

    def __init__(self, *, delta: float = 1.0) -> None:
        super().__init__()
        check_positive("delta", delta)
        self.delta = delta

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return huber(output, target, delta=self.delta)

"""Multi-class hinge losses: the logit of the true class should exceed every other one by a margin.

    v_c = max(0, Δ + f_c - f_y)  for c ≠ y,    v_y = 0

                       hinge          squared_hinge
    crammer_singer     max_c v_c      max_c v_c²        only the largest violation counts
    weston_watkins     Σ_c v_c        Σ_c v_c²          every violation counts

f logits, Δ margin. Each v_c is squared by itself, before the sum, and the sums are not divided by C
(`torch.nn.MultiMarginLoss` divides them).

Crammer & Singer 2001, "On the algorithmic implementation of multiclass kernel-based vector machines".
Weston & Watkins 1999, "Support vector machines for multi-class pattern recognition", where Δ = 2; ours is 1.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bakeoff.losses._checks import Task, check_classes, check_positive

Variant = Literal["crammer_singer", "weston_watkins"]

# amax divides the gradient among tied classes (all are, while the last layer is zero); max would pick one of them.
_OVER_CLASSES: dict[Variant, Callable[[Tensor, int], Tensor]] = {
    "crammer_singer": torch.amax,
    "weston_watkins": torch.sum,
}


def hinge(logits: Tensor, targets: Tensor, *, margin: float = 1.0, variant: Variant = "crammer_singer") -> Tensor:
    """max_c v_c, or Σ_c v_c: logits (N, C), class indices (N,) -> (N,).

    Raises ValueError on other shapes, and on targets that are not integers.

    >>> import torch
    >>> logits, targets = torch.tensor([[2.0, 1.5, 1.25]]), torch.tensor([0])
    >>> hinge(logits, targets), hinge(logits, targets, variant="weston_watkins")  # v = 0, 0.5, 0.25
    (tensor([0.5000]), tensor([0.7500]))
    """
    return _OVER_CLASSES[variant](_violations(logits, targets, margin), 1)


def squared_hinge(
    logits: Tensor, targets: Tensor, *, margin: float = 1.0, variant: Variant = "crammer_singer"
) -> Tensor:
    """max_c v_c², or Σ_c v_c²: logits (N, C), class indices (N,) -> (N,).

    Raises ValueError on other shapes, and on targets that are not integers.

    >>> import torch
    >>> logits, targets = torch.tensor([[2.0, 1.5, 1.25]]), torch.tensor([0])
    >>> squared_hinge(logits, targets), squared_hinge(logits, targets, variant="weston_watkins")  # v = 0, 0.5, 0.25
    (tensor([0.2500]), tensor([0.3125]))
    """
    return _OVER_CLASSES[variant](_violations(logits, targets, margin).square(), 1)


def _violations(logits: Tensor, targets: Tensor, margin: float) -> Tensor:
    """v_c, by how much class c violates the margin: (N, C), zero for the true class."""
    check_classes(logits, targets)
    y = targets.unsqueeze(1)
    # Δ [c ≠ y], so that the true class gives f_y - f_y, which is exactly zero
    margins = torch.full_like(logits, margin).scatter(1, y, 0.0)
    return (logits - logits.gather(1, y) + margins).relu()


class _MarginLoss(nn.Module):
    """The two hyperparameters that both hinge losses have."""

    task: ClassVar[Task] = "classification"

    def __init__(self, *, margin: float = 1.0, variant: Variant = "crammer_singer") -> None:
        super().__init__()
        check_positive("margin", margin)
        if variant not in _OVER_CLASSES:
            raise ValueError(f"variant must be one of {', '.join(_OVER_CLASSES)}, got {variant}")
        self.margin = margin
        self.variant: Variant = variant


class Hinge(_MarginLoss):
    """`hinge` with a fixed margin and variant. Raises ValueError unless the margin is > 0 and finite.

    >>> import torch
    >>> Hinge(margin=0.75)(torch.tensor([[2.0, 1.5, 1.25]]), torch.tensor([0]))
    tensor([0.2500])
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return hinge(output, target, margin=self.margin, variant=self.variant)


class SquaredHinge(_MarginLoss):
    """`squared_hinge` with a fixed margin and variant. Raises ValueError unless the margin is > 0 and finite.

    >>> import torch
    >>> SquaredHinge(variant="weston_watkins")(torch.tensor([[2.0, 1.5, 1.25]]), torch.tensor([0]))
    tensor([0.3125])
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return squared_hinge(output, target, margin=self.margin, variant=self.variant)

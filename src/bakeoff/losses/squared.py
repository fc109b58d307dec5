"""Mean squared error, for regression and, against one-hot targets, for classification.

    regression       ℓ(f, t) = 1/D Σ_d (f_d - t_d)²
    classification   ℓ(f, y) = 1/C (k (f_y - M)² + Σ_{c≠y} f_c²)

f predictions or logits (no softmax), D or C their number. M is the target of the true class, k the weight of
its term. With k = M = 1, the default, it is the squared distance from the one-hot vector, averaged over
classes; the paper raises k and M from 42 classes on.

Hui & Belkin 2021, "Evaluation of neural architectures trained with square loss vs cross-entropy in
classification tasks", arXiv:2006.07322.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from bakeoff.losses._checks import Task, align, check_classes, check_positive


def mse(output: Tensor, targets: Tensor, *, k: float = 1.0, M: float = 1.0) -> Tensor:
    """Squared error, averaged over outputs -> (N,). The targets' dtype chooses the form.

    - Integers are classes: logits (N, C), class indices (N,).
    - Floating-point numbers are values: predictions and targets (N,) or (N, D), where (N,) counts as (N, 1).

    Raises ValueError on other shapes, and on values with k or M other than 1, which rescale a true class.

    >>> import torch
    >>> mse(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]]))
    tensor([2.])
    >>> logits, targets = torch.tensor([[0.5, 1.0]]), torch.tensor([0])
    >>> mse(logits, targets), mse(logits, targets, k=2.0)  # against (1, 0)
    (tensor([0.6250]), tensor([0.7500]))
    """
    if not targets.is_floating_point():
        return _one_hot_mse(output, targets, k=k, M=M)
    if not k == M == 1:
        raise ValueError(f"k and M must be 1 for real targets, which have no true class, got k={k} and M={M}")
    predictions, values = align(output, targets)
    return (predictions - values).square().flatten(1).mean(1)


def _one_hot_mse(logits: Tensor, classes: Tensor, *, k: float, M: float) -> Tensor:
    check_classes(logits, classes)
    y = classes.unsqueeze(1)
    # f_c - M [c = y]
    residual = logits - torch.zeros_like(logits).scatter(1, y, M)
    squares = residual.square()
    if k != 1:
        squares = squares * torch.ones_like(logits).scatter(1, y, k)
    return squares.mean(1)


class MSE(nn.Module):
    """`mse` with a fixed k and M. Fits both tasks. Raises ValueError unless both are > 0 and finite.

    >>> import torch
    >>> MSE(k=2.0)(torch.tensor([[0.5, 1.0]]), torch.tensor([0]))
    tensor([0.7500])
    """

    task: ClassVar[Task | None] = None

    def __init__(self, *, k: float = 1.0, M: float = 1.0) -> None:
        super().__init__()
        check_positive("k", k)
        check_positive("M", M)
        self.k = k
        self.M = M

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return mse(output, target, k=self.k, M=self.M)

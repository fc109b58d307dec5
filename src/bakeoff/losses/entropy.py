"""Cross entropy: the negative log-likelihood of the true class under the softmax of the logits.

    ℓ(f, y) = -Σ_c q_c log p_c,    p = softmax(f),    q_c = (1 - ε) [c = y] + ε / C

f logits, C their number, ε label_smoothing: the fraction of the target that is spread over all C classes.

Bridle 1990, "Training stochastic model recognition algorithms as networks".
Label smoothing: Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.losses._checks import Task, check_classes


def cross_entropy(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """ℓ = -Σ_c q_c log softmax(f)_c, in nats: logits (N, C), class indices (N,) -> (N,).

    Raises ValueError on other shapes, and on targets that are not integers.

    >>> import torch
    >>> logits, targets = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    >>> cross_entropy(logits, targets)  # ln(1 + e^-2) and ln 2
    tensor([0.1269, 0.6931])
    >>> cross_entropy(logits, targets, label_smoothing=0.5)
    tensor([0.6269, 0.6931])
    """
    check_classes(logits, targets)
    return F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)


class CrossEntropy(nn.Module):
    """`cross_entropy` with a fixed label_smoothing. Raises ValueError unless it is in [0, 1).

    >>> import torch
    >>> CrossEntropy(label_smoothing=0.5)(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
    tensor([0.6269, 0.6931])
    """

    task: ClassVar[Task] = "classification"

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each example, (N,)."""
        return cross_entropy(output, target, label_smoothing=self.label_smoothing)

"""What the losses share: which shapes fit together, and which hyperparameters are in bounds.

Checks read a tensor's shape and dtype, never its values: no check waits for a GPU, and the losses work under
`torch.func.vmap` and `torch.compile`.
"""

import math
from typing import Literal

from torch import Tensor

Task = Literal["classification", "regression"]


def check_classes(logits: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless logits are (N, C) and targets are N class indices."""
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or targets.is_floating_point():
        raise ValueError(
            "logits must be (N, C) and targets (N,) class indices of an integer type, "
            f"got {_describe(logits)} and {_describe(targets)}; for real targets choose a regression loss"
        )


def align(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (N, ...) of one shape and in the predictions' dtype, where (N,) counts as (N, 1).

    Raises ValueError where the shapes differ otherwise. They must not broadcast: (N,) - (N, 1) is (N, N).
    """
    p = predictions.unsqueeze(1) if predictions.ndim == 1 else predictions
    t = targets.unsqueeze(1) if targets.ndim == 1 else targets
    if p.ndim < 2 or p.shape != t.shape:
        raise ValueError(
            "predictions and targets must have the same shape, where (N,) counts as (N, 1), "
            f"got {_describe(predictions)} and {_describe(targets)}; give the net one output per target"
        )
    return p, t.to(p.dtype)


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless 0 < value < inf."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {value}")


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"

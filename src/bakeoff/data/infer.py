"""DataSpec fields of a user's data, inferred from a batch and from attributes that data sets often have."""

from collections.abc import Sized
from typing import Any, TypeGuard

import torch
from torch import Tensor

from bakeoff.data.arrays import Task


def is_pair(batch: object) -> TypeGuard[tuple[Tensor, Tensor]]:
    """Whether a collated batch is `(x, y)` of tensors with samples along their first axis."""
    return (
        isinstance(batch, (tuple, list))
        and len(batch) == 2
        and all(isinstance(item, Tensor) and item.ndim > 0 for item in batch)
    )


def infer_fields(source: object, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Task, input shape, output width and examples, as fields of a DataSpec.

    Floating-point targets mean regression, all others classification.
    """
    x, y = batch
    task: Task = "regression" if y.is_floating_point() else "classification"
    return {"task": task, "in_shape": tuple(x.shape[1:]), "n_out": _n_out(source, y), "example": x[:2]}


def _n_out(source: object, y: Tensor) -> int | None:
    """Width of regression targets, or the number of classes as `source` states it: a batch may not hold all."""
    if y.is_floating_point():
        width = y.shape[1] if y.ndim == 2 else 1
        return width if y.ndim <= 2 else None
    for name in ("n_out", "num_classes", "n_classes", "classes"):
        value = getattr(source, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, Sized) and not isinstance(value, str):
            return len(value)
    labels = find_labels(source)
    return None if labels is None else int(labels.max()) + 1


def find_labels(source: Any) -> Tensor | None:
    """The attribute `targets` (torchvision's convention), if it holds one whole number a sample."""
    targets = getattr(source, "targets", None)
    if not isinstance(targets, Sized) or len(targets) != len(source):
        return None
    try:
        labels = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError):  # strings, dictionaries, ragged lists: not labels
        return None
    return None if labels.is_floating_point() or labels.ndim != 1 else labels

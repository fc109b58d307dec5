"""Which outputs and targets the metrics fit. `misfit` compares shapes, never values: nothing waits for a GPU.

classification   outputs (N, C, d1, ...), classes at axis 1 as in torch's cross_entropy; targets (N, d1, ...)
regression       outputs and targets (N, D), where (N,) counts as (N, 1)
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOSSES_OF_LOGITS = (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss, nn.SoftMarginLoss)
FUNCTIONS_OF_LOGITS = (
    F.cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.multilabel_soft_margin_loss,
    F.soft_margin_loss,
)


def misfit(output: Any, target: Tensor, *, task: str, n_out: int) -> str | None:
    """Why the metrics of a task do not fit this output of a net and these targets, with the remedy; None if they do.

    It is to be read behind the name of the net: "gives ...".
    """
    if not isinstance(output, Tensor):
        return f"gives a {type(output).__name__}; it must give one tensor, {_expected(target, task, n_out)}"
    if not output.is_floating_point():
        return f"gives {output.dtype}; it must give floating-point numbers"
    if task == "classification":
        return _misfit_of_classes(output, target, n_out)
    return _misfit_of_values(output, target, n_out)


def broadcasts(loss: Any) -> bool:
    """Whether it is one of torch's own losses; one of a user's own may align its arguments itself, and ours do."""
    while isinstance(loss, partial):
        loss = loss.func
    home = type(loss) if isinstance(loss, nn.Module) else loss
    return str(getattr(home, "__module__", "")).startswith("torch.nn.")


def like_output(target: Tensor, output: Tensor) -> Tensor:
    """Targets (N,) for outputs (N, 1), or the other way round, in the shape of the outputs.

    A loss would broadcast them to (N, N), and train the net to the mean.
    """
    is_column = {target.ndim, output.ndim} == {1, 2} and target.numel() == output.numel()
    return target.reshape(output.shape) if is_column else target


def misread(loss: Any, output: Tensor, target: Tensor) -> str | None:
    """Why the metrics would misread logits whose shape fits, from their values; None where nothing says so.

    To be called on a few examples, once.
    """
    if output.shape[1] > 1 and bool((output >= 0).all()) and _all_close(output.sum(dim=1), 1.0):
        return "gives probabilities; metrics need logits: leave the softmax to the loss, or return its logarithm"
    if output.ndim > 2 and output.shape[1] == output.shape[-1] and _takes_classes_last(loss, output, target):
        return (
            f"gives {tuple(output.shape)}, the classes on its last axis, as the loss takes them; metrics need them at "
            "axis 1, as torch's cross_entropy does: return output.movedim(-1, 1)"
        )
    return None


def takes_logits(loss: Any) -> bool:
    """Whether it is one of torch's losses of logits: targets are classes or their probabilities, not quantities."""
    while isinstance(loss, partial):
        loss = loss.func
    return isinstance(loss, LOSSES_OF_LOGITS) or loss in FUNCTIONS_OF_LOGITS


def _takes_classes_last(loss: Any, output: Tensor, target: Tensor) -> bool:
    """Whether a loss is the cross entropy over the last axis, where the length of both axes is the same."""
    labels = target.clamp(0, output.shape[1] - 1)  # whatever the loss ignores
    last = F.cross_entropy(output.movedim(-1, 1), labels, reduction="none").mean()
    first = F.cross_entropy(output, labels, reduction="none").mean()
    try:
        value = loss(output, labels).mean()
    except Exception:  # a loss may need more than a few examples; it will say so when it is trained
        return False
    return _all_close(value, last) and not _all_close(value, first)


def _all_close(values: Tensor, expected: Any) -> bool:
    return torch.allclose(values.float(), torch.as_tensor(expected).float().expand_as(values), rtol=1e-4, atol=1e-4)


def _misfit_of_classes(output: Tensor, target: Tensor, n_out: int) -> str | None:
    given, labels = tuple(output.shape), tuple(target.shape)
    if target.is_floating_point():
        return f"is to be measured against labels, but the targets are {target.dtype}: give whole numbers"
    if len(given) > 1 and given[1] == n_out and labels == (given[0], *given[2:]):
        return None
    if len(labels) > 1 and given == (*labels, n_out):
        return (
            f"gives {given}, the classes on its last axis; metrics need them at axis 1, {_classes(labels, n_out)}, "
            "as torch's cross_entropy does: return output.movedim(-1, 1)"
        )
    if len(labels) == 2 and given == labels and labels[1] == n_out:
        return f"gives {given} for targets {labels}: several labels an example (multi-label) are not supported yet"
    width = given[1] if len(given) > 1 else 1
    if len(labels) == 1 and width != n_out:
        return _wrong_width(width, n_out)
    return f"gives {given} for targets {labels}; metrics need {_classes(labels, n_out)}, classes at axis 1"


def _misfit_of_values(output: Tensor, target: Tensor, n_out: int) -> str | None:
    given, values = tuple(output.shape), tuple(target.shape)
    columns = {(len(target), n_out), *([(len(target),)] if n_out == 1 else [])}
    if given in columns and values in columns:
        return None
    width = given[1] if len(given) > 1 else 1
    if width != n_out:
        return _wrong_width(width, n_out)
    return f"gives {given} for targets {values}; metrics need ({len(target)}, {n_out}) for both"


def _wrong_width(width: int, n_out: int) -> str:
    return f"gives {width} outputs, but the data needs n_out={n_out}"


def _expected(target: Tensor, task: str, n_out: int) -> str:
    labels = tuple(target.shape)
    return str(_classes(labels, n_out)) if task == "classification" else f"({len(target)}, {n_out})"


def _classes(labels: tuple[int, ...], n_out: int) -> tuple[int, ...]:
    return (labels[0], n_out, *labels[1:])

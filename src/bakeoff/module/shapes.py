"""Which predictions and targets the metrics fit. `misfit` compares shapes, never values: nothing waits for a GPU.

classification   predictions (N, C, d1, ...), classes at axis 1 as in torch's cross_entropy; targets (N, d1, ...)
multilabel       predictions (N, L, ...), a logit for each label; targets of 0 and 1 in the same shape
regression       predictions and targets (N, D, ...) in the same shape

In the last two (N,) counts as (N, 1).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bakeoff.module.loss_parameters import copied


def misfit(output: Any, target: Tensor, *, task: str, n_out: int) -> str | None:
    """Why the metrics of a task do not fit this output of a net and these targets, with the remedy; None if they do.

    It is to be read behind the name of the net: "gives ...".
    """
    if not isinstance(output, Tensor):
        return (
            f"gives a {type(output).__name__}; it must give one tensor, {_expected(target, task, n_out)}, or hold it "
            "as logits (a key or an attribute), or as the first of a tuple"
        )
    if not output.is_floating_point():
        return f"gives {output.dtype}; it must give floating-point numbers"
    if task == "classification":
        return _misfit_of_classes(output, target, n_out)
    if task == "multilabel" and not target.is_floating_point():
        return f"is to be measured against labels that are 0 or 1, as the loss takes them, but they are {target.dtype}"
    return _misfit_of_values(output, target, n_out)


def misread(output: Tensor) -> str | None:
    """Why metrics would misread the logits of classes, whose shape fits, from their values; None where nothing says so.

    To be called on a few examples, once.
    """
    if output.shape[1] > 1 and bool((output >= 0).all()) and _all_close(output.sum(dim=1), 1.0):
        return "gives probabilities; metrics need logits: leave the softmax to the loss, or return its logarithm"
    return None


def takes_classes_at(axis: int, loss: Any, output: Tensor, target: Tensor) -> bool:
    """Whether a loss is the cross entropy over this axis of outputs whose axis 1 and last axis are equally long."""
    labels = target.clamp(0, output.shape[1] - 1)  # whatever the loss ignores
    last = F.cross_entropy(output.movedim(-1, 1), labels, reduction="none").mean()
    first = F.cross_entropy(output, labels, reduction="none").mean()
    here, there = (first, last) if axis == 1 else (last, first)
    try:
        value = copied(loss)(output, labels).mean()
    except Exception:  # a loss may need more than a few examples; it will say so when it is trained
        return False
    return _all_close(value, here) and not _all_close(value, there)


def _all_close(values: Tensor, expected: Any) -> bool:
    return torch.allclose(values.float(), torch.as_tensor(expected).float().expand_as(values), rtol=1e-4, atol=1e-4)


def _misfit_of_classes(output: Tensor, target: Tensor, n_out: int) -> str | None:
    given, labels = tuple(output.shape), tuple(target.shape)
    if target.is_floating_point():
        return f"is to be measured against labels, but the targets are {target.dtype}: give whole numbers"
    if len(given) > 1 and given[1] == n_out and labels == (given[0], *given[2:]):
        return None
    if len(labels) == 2 and given == labels and labels[1] == n_out:
        return (
            f"gives {given} for targets {labels}: where these are several labels an example (multi-label), each 0 or "
            "1, they must be floating-point numbers: y.float()"
        )
    width = given[1] if len(given) > 1 else 1
    if len(labels) == 1 and width != n_out:
        return _wrong_width(width, n_out)
    needed = _classes(labels, n_out)
    quantities = "; where these are quantities and no labels, say data.task=regression" if len(labels) > 1 else ""
    return f"gives {given} for targets {labels}; metrics need {needed}, or the classes on the last axis{quantities}"


def _misfit_of_values(output: Tensor, target: Tensor, n_out: int) -> str | None:
    given, values = tuple(output.shape), tuple(target.shape)
    if n_out == 1:
        given, values = (shape if len(shape) > 1 else (*shape, 1) for shape in (given, values))
    if given == values and len(given) > 1 and given[1] == n_out:
        return None
    shown = tuple(output.shape)
    width = shown[1] if len(shown) > 1 else 1
    if width != n_out and len(values) == 2:
        return _wrong_width(width, n_out)
    needed = (len(target), n_out) if len(values) <= 2 else values
    return f"gives {shown} for targets {tuple(target.shape)}; metrics need {needed} for both"


def _wrong_width(width: int, n_out: int) -> str:
    return f"gives {width} outputs, but the data needs n_out={n_out}"


def _expected(target: Tensor, task: str, n_out: int) -> str:
    labels = tuple(target.shape)
    if task == "classification":
        return str(_classes(labels, n_out))
    return str(labels) if len(labels) > 2 else f"({len(target)}, {n_out})"


def _classes(labels: tuple[int, ...], n_out: int) -> tuple[int, ...]:
    return (labels[0], n_out, *labels[1:])

"""Whether the metrics fit a net, a loss and the data, seen on a few examples before anything is trained."""

from __future__ import annotations

import copy
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.module.counted import CountedLabels, check_labels
from bakeoff.module.shapes import misfit, misread
from bakeoff.train.instantiate import one_line


def check_examples(net: nn.Module, output: Any, loss: Any, spec: DataSpec, task: str) -> None:
    """Refuses a net whose output, or data whose targets, the metrics do not fit.

    `output` is what the net makes of `spec.example`.

    Raises:
        UserError: says what would fit.

    """
    if spec.example_target is None or spec.n_out is None:
        return
    reason = misfit(output, spec.example_target, task=task, n_out=spec.n_out)
    if task == "classification" and reason is None:
        _check_ignored(loss, spec)
        try:
            check_labels(spec.example_target, spec.n_out, loss)
        except ValueError as error:
            raise UserError(f"data: {error}") from error
        with torch.no_grad():
            reason = misread(loss, output, spec.example_target)
    if reason is not None:
        raise UserError(f"model: {type(net).__name__} {reason}")
    _check_loss(loss, output, spec.example_target)


def _check_loss(loss: Any, output: Tensor, target: Tensor) -> None:
    """Calls a copy of the loss on the examples: it may keep a state, and may want gradients of the output."""
    try:
        probed = copy.deepcopy(loss)
    except Exception:  # what cannot be copied is not tried
        return
    try:
        with isolate_rng(include_cuda=False), torch.enable_grad():
            value = probed(output.detach().requires_grad_(), target)
    except RuntimeError:  # torch's: it may need more than a few examples, and will say so when it is trained
        return
    except Exception as error:  # what it says of its arguments
        shapes = f"outputs {tuple(output.shape)} and targets {tuple(target.shape)}"
        raise UserError(f"loss: {_name(loss)} of {shapes}: {one_line(error)}") from error
    if not isinstance(value, Tensor):
        raise UserError(f"loss: {_name(loss)} gives a {type(value).__name__}; it must give a tensor, (N,) or a scalar")


def _name(loss: Any) -> str:
    return str(getattr(loss, "__name__", type(loss).__name__))


def _check_ignored(loss: Any, spec: DataSpec) -> None:
    """Refuses a label to be ignored that is not the same once labels have become 0, 1, ..."""
    ignored = CountedLabels(loss).ignored
    classes = [] if spec.classes is None else spec.classes.tolist()
    after = range(len(classes))
    if classes != list(after) and (ignored in classes or ignored in after):
        raise UserError(
            f"data: the loss ignores the label {ignored}, but the labels {classes[0]} to {classes[-1]} become "
            f"0 to {after[-1]}: drop the samples to be ignored, and leave ignore_index out"
        )

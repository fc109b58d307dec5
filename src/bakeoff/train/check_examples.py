"""Whether the metrics fit a net, a loss and the data, seen on a few examples before anything is trained."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.module.counted import CountedLabels, check_labels
from bakeoff.module.shapes import broadcasts, like_output, misfit, misread, takes_logits
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
    if task == "regression" and takes_logits(loss):
        raise UserError(
            f"loss: {_name(loss)} takes logits, which RMSE would compare with the targets as they are: regression "
            "needs a loss of predictions, such as loss=mse"
        )
    target = spec.example_target
    if task != "regression":
        _check_loss(loss, output, target)
        return
    _check_loss(loss, output, like_output(target, output) if broadcasts(loss) else target)
    if not broadcasts(loss) and _broadcast(loss, output, target):
        raise UserError(
            f"loss: {_name(loss)} broadcasts outputs {tuple(output.shape)} and targets {tuple(target.shape)}: every "
            "output is compared with every target; begin it with target = target.reshape(output.shape)"
        )


def _check_loss(loss: Any, output: Tensor, target: Tensor) -> None:
    """Calls a copy of the loss on the examples: it may keep a state, and may want gradients of the output."""
    try:
        probed = copy.deepcopy(loss)
    except Exception:  # what cannot be copied is not tried
        return
    try:
        with isolate_rng(include_cuda=False), torch.enable_grad():
            given, labels = _as_of_a_net(output), target.clone()
            value = probed(given, labels)
    except RuntimeError as error:  # torch's: it may need more than a few examples, and will say so when it is trained
        if target.dtype == torch.bool:
            raise UserError(f"loss: {_name(loss)} of labels that are true or false: {one_line(error)}") from error
        return
    except Exception as error:  # what it says of its arguments
        shapes = f"outputs {tuple(output.shape)} and targets {tuple(target.shape)}"
        raise UserError(f"loss: {_name(loss)} of {shapes}: {one_line(error)}") from error
    if changed(given, output) or changed(labels, target):
        raise UserError(
            f"loss: {_name(loss)} changes its arguments in place, and metrics are computed from them: let it work on a "
            "copy"
        )
    if not isinstance(value, Tensor):
        raise UserError(f"loss: {_name(loss)} gives a {type(value).__name__}; it must give a tensor, (N,) or a scalar")
    if _sums(loss, value, output, target):
        raise UserError(
            f"loss: {_name(loss)} adds up the losses of a batch, so that its value, and the length of a step, depend "
            "on the batch size: give their mean (reduction=mean)"
        )


def _as_of_a_net(output: Tensor) -> Tensor:
    """A copy that gradients can be asked of, and that may be changed in place."""
    return output.detach().requires_grad_().clone()


def changed(now: Tensor, before: Tensor) -> bool:
    """Whether values differ; NaN is NaN."""
    return not torch.equal(now.detach().nan_to_num(), before.detach().nan_to_num())


def _sums(loss: Any, value: Tensor, output: Tensor, target: Tensor) -> bool:
    """Whether the same examples twice have twice the loss."""
    if value.ndim or not 0 < abs(value.item()) < math.inf:
        return False
    try:
        with isolate_rng(include_cuda=False), torch.enable_grad():
            doubled = copy.deepcopy(loss)(_as_of_a_net(torch.cat([output] * 2)), torch.cat([target] * 2))
        return math.isclose(doubled.item(), 2 * value.item(), rel_tol=1e-3)
    except Exception:  # it will say so when it is trained
        return False


def _broadcast(loss: Any, output: Tensor, target: Tensor) -> bool:
    """Whether the loss of several examples is the mean of their own losses only with targets in another shape."""
    if target.numel() != len(target):
        return False
    other = target.flatten() if target.ndim > 1 else target[:, None]
    try:
        with isolate_rng(include_cuda=False), torch.no_grad():
            pairs = zip(output.split(1), target.split(1), strict=True)
            alone = torch.stack([copy.deepcopy(loss)(*pair).mean() for pair in pairs]).mean().item()
            given, reshaped = (copy.deepcopy(loss)(output, shape).mean().item() for shape in (target, other))
    except Exception:  # it takes no such batches
        return False
    return math.isclose(reshaped, alone, rel_tol=1e-4) and not math.isclose(given, alone, rel_tol=1e-4)


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

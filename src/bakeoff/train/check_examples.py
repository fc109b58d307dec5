"""Whether the metrics fit a net, a loss and the data, seen on a few examples before anything is trained."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.module.counted import CountedLabels, check_labels
from bakeoff.module.loss_arguments import LossArguments, is_ours, is_torchs
from bakeoff.module.loss_parameters import copied
from bakeoff.module.shapes import misfit, misread, takes_classes_at
from bakeoff.module.task import Task
from bakeoff.train.instantiate import one_line


def check_examples(net: nn.Module, output: Any, loss: Any, spec: DataSpec, task: Task, asked_axis: int | None) -> bool:
    """Refuses a net whose output, or data whose targets, the metrics or the loss do not fit.

    Args:
        net: gave `output`.
        output: what the net makes of `spec.example`.
        loss: the run's.
        spec: the data's.
        task: the run's.
        asked_axis: `task.class_axis`, where the user gives it.

    Returns:
        whether a loss of the user's own takes the prediction, where the net gives more than that.

    Raises:
        UserError: says what would fit.

    """
    if spec.example_target is None:
        return False
    prediction, target = task.prediction(output), spec.example_target
    reason = misfit(prediction, target, task=task.kind, n_out=task.n_out)
    if task.kind == "classification" and reason is None:
        _check_ignored(loss, spec)
        try:
            check_labels(target, task.n_out, loss)
        except ValueError as error:
            raise UserError(f"data: {error}") from error
        with torch.no_grad():
            reason = misread(prediction)
    if reason is not None:
        raise UserError(f"model: {type(net).__name__} {reason}")
    if asked_axis is not None and prediction.ndim > 2:
        _check_axis(loss, output, target, task)
    takes_prediction = not isinstance(output, Tensor) and _takes_prediction(loss, output, target, task)
    arguments = LossArguments(loss, task, takes_prediction=takes_prediction)
    _check_loss(loss, *arguments(output, target))
    is_own = not (is_torchs(loss) or is_ours(loss))
    if task.kind != "classification" and is_own and isinstance(output, Tensor) and _broadcast(loss, output, target):
        raise UserError(
            f"loss: {_name(loss)} broadcasts outputs {tuple(output.shape)} and targets {tuple(target.shape)}: every "
            "output is compared with every target; begin it with target = target.reshape(output.shape)"
        )
    return takes_prediction


def _takes_prediction(loss: Any, output: Any, target: Tensor, task: Task) -> bool:
    """Whether a loss of the user's own takes the prediction, and not the whole output: it is tried with both."""

    def takes(given: Any) -> bool:
        try:
            with isolate_rng(include_cuda=False), torch.enable_grad():
                return isinstance(copied(loss)(given, target.clone()), Tensor)
        except Exception:  # whatever a user's loss raises; where neither does, `_check_loss` says it
            return False

    return not takes(_as_of_a_net(output)) and takes(_as_of_a_net(task.prediction(output)))


def _check_axis(loss: Any, output: Any, target: Tensor, task: Task) -> None:
    """Refuses a `task.class_axis` which the loss contradicts, where both axes are equally long."""
    other = -1 if task.class_axis == 1 else 1
    if not isinstance(output, Tensor) or output.shape[1] != output.shape[-1] or is_torchs(loss) or is_ours(loss):
        return
    with torch.no_grad():
        if takes_classes_at(other, loss, output, target):
            raise UserError(
                f"task.class_axis={task.class_axis}, but {_name(loss)} takes the classes on axis {other}: say "
                f"task.class_axis={other}, or change the loss"
            )


def _check_loss(loss: Any, output: Any, target: Tensor) -> None:
    """Calls a copy of the loss on its arguments: it may keep a state, and may want gradients of the output."""
    try:
        probed = copied(loss)
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
        given = f"outputs {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        shapes = f"{given} and targets {tuple(target.shape)}"
        raise UserError(f"loss: {_name(loss)} of {shapes}: {one_line(error)}") from error
    if (isinstance(output, Tensor) and changed(given, output)) or changed(labels, target):
        raise UserError(
            f"loss: {_name(loss)} changes its arguments in place, and metrics are computed from them: let it work on a "
            "copy"
        )
    if not isinstance(value, Tensor):
        raise UserError(f"loss: {_name(loss)} gives a {type(value).__name__}; it must give a tensor, (N,) or a scalar")
    if isinstance(output, Tensor) and _sums(loss, value, output, target):
        raise UserError(
            f"loss: {_name(loss)} adds up the losses of a batch, so that its value, and the length of a step, depend "
            "on the batch size: give their mean (reduction=mean)"
        )


def _as_of_a_net(output: Any) -> Any:
    """A copy that gradients can be asked of, and that may be changed in place."""
    return apply_to_collection(output, Tensor, _as_activation)


def _as_activation(output: Tensor) -> Tensor:
    return output.detach().requires_grad_(output.is_floating_point()).clone()


def changed(now: Tensor, before: Tensor) -> bool:
    """Whether values differ; NaN is NaN."""
    return not torch.equal(now.detach().nan_to_num(), before.detach().nan_to_num())


def _sums(loss: Any, value: Tensor, output: Tensor, target: Tensor) -> bool:
    """Whether the same examples twice have twice the loss."""
    if value.ndim or not 0 < abs(value.item()) < math.inf:
        return False
    try:
        with isolate_rng(include_cuda=False), torch.enable_grad():
            doubled = copied(loss)(_as_of_a_net(torch.cat([output] * 2)), torch.cat([target] * 2))
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
            alone = torch.stack([copied(loss)(*pair).mean() for pair in pairs]).mean().item()
            given, reshaped = (copied(loss)(output, shape).mean().item() for shape in (target, other))
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

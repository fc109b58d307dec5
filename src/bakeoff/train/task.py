"""Decides what a prediction of a run is: from its data, its loss, and what its net gives on a few examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.module.loss_arguments import is_ours, is_torchs, kind_of
from bakeoff.module.task import KINDS, Kind, Task, class_axis_of, prediction_in
from bakeoff.train.settings import Settings


class LossDoesNotFitError(UserError):
    """A loss for one task meets data for another."""

    def __init__(self, loss: str, fits: str, task: str, others: Iterable[str] = (), remedy: str = "") -> None:
        hint = f"; losses that fit: {', '.join(others)}" if others else ""
        super().__init__(f"loss {loss.rsplit('.', 1)[-1]} is for {fits}, but the data is for {task}{hint}{remedy}")
        self.loss, self.fits, self.task, self.remedy = loss, fits, task, remedy


def kind_of_run(spec: DataSpec, loss: Any, settings: Settings) -> Kind:
    """What the data says, or where it says nothing, the loss.

    Raises:
        UserError: neither says it, or they say different things.

    """
    name, fits = str(settings.loss["_target_"]), kind_of(loss)
    kind = spec.task or fits
    if kind is None:
        raise UserError(
            "data: neither the data nor the loss says whether this is classification, multilabel or regression; give "
            "one of them an attribute task"
        )
    if kind not in KINDS:
        raise UserError(f"loss: the attribute task of {name} must be one of {', '.join(KINDS)}, got {kind!r}")
    if fits not in (None, kind):
        raise LossDoesNotFitError(name, str(fits), kind, remedy=_remedy(fits, spec.example_target))
    if fits is None and kind == "multilabel" and (is_ours(loss) or is_torchs(loss)):
        raise LossDoesNotFitError(name, "numbers or single labels", kind)  # it takes no logits of several
    return next(known for known in KINDS if known == kind)


def _remedy(fits: str | None, target: Tensor | None) -> str:
    """Where targets may be several labels a sample, which are taken for classes by their dtype."""
    if fits != "multilabel" or target is None or target.ndim < 2 or target.is_floating_point():
        return ""
    return f"; targets of several labels must be floating-point numbers, but they are {target.dtype}: give y.float()"


def task_of(net: nn.Module, output: Any, spec: DataSpec, kind: Kind, class_axis: int | None) -> Task:
    """The task, with the axis of the classes as the output of a few examples shows it.

    Args:
        net: gave `output`.
        output: what it makes of `spec.example`.
        spec: the data's.
        kind: `kind_of_run`.
        class_axis: what the user says of it.

    Raises:
        UserError: both axes fit, and the user says nothing; or says it of what has no classes.

    """
    assert spec.n_out is not None
    if class_axis is not None and kind != "classification":
        raise UserError(f"task.class_axis={class_axis}: a task of {kind} has no classes; leave it out")
    if spec.example_target is None or kind != "classification":
        return Task(kind, spec.n_out, class_axis or 1)
    try:
        axis = class_axis_of(prediction_in(output), spec.example_target, spec.n_out, class_axis)
    except ValueError as error:
        raise UserError(f"model: {type(net).__name__} {error}") from error
    return Task(kind, spec.n_out, axis)


def describe_task(task: Task, output: Any, target: Tensor | None) -> str:
    """One line: `task: classification of 10 classes, predictions (N, 10), targets (N,)`."""
    text = {
        "classification": f"classification of {task.n_out} classes",
        "multilabel": f"{task.n_out} labels, each there or not (multilabel)",
        "regression": "regression",
    }[task.kind]
    prediction = prediction_in(output)
    if not isinstance(prediction, Tensor) or target is None:
        return f"task: {text}"
    where = "" if prediction is output else f", which are {_place(output)} of the model's {type(output).__name__}"
    last = " with the classes on the last axis" if task.class_axis == -1 and prediction.ndim > 2 else ""
    return f"task: {text}, predictions {_shape(prediction)}{last}{where}, targets {_shape(target)}"


def _place(output: Any) -> str:
    return "the first" if isinstance(output, tuple) and not hasattr(output, "logits") else "the logits"


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(['N', *map(str, tensor.shape[1:])])}{',' if tensor.ndim == 1 else ''})"

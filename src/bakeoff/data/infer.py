"""DataSpec fields of a user's data, inferred from a batch and from attributes that data sets often have."""

import operator
from collections.abc import Iterator, Mapping, Sized
from typing import Any, SupportsIndex, get_args

import numpy as np
import torch
from torch import Tensor

from bakeoff.data.arrays import Task
from bakeoff.data.meaning import Meaning, meaning_of_reals
from bakeoff.errors import UserError
from bakeoff.pairs import Inputs, map_inputs

LOOKED_AT = 64  # samples, before targets that look like classes are taken for that


def describe(batch: object) -> str:
    """What a batch that is no pair is: `a dict of pixel_values, name`, `a tuple of 3`."""
    kind = type(batch).__name__
    if isinstance(batch, Mapping):
        return f"a {kind} of {', '.join(str(key) for key in batch)}"
    if isinstance(batch, (tuple, list)):
        items = f" ({', '.join(type(item).__name__ for item in batch)})" if len(batch) == 2 else ""
        return f"a {kind} of {len(batch)}{items}"
    return f"a {kind}"


def infer_fields(source: object, batch: tuple[Inputs, Tensor], more: Iterator[Tensor]) -> dict[str, Any]:
    """Task, input shape, output width and examples, as fields of a DataSpec.

    The attribute `task` of the source says the task; without it floating-point targets mean regression, or several
    labels a sample where they are 0 and 1 in several columns, all others classification. `more` gives targets of
    further samples; it is read only where those of the batch look like classes in floating point.

    Raises UserError if they do, or if `task` does not fit them.
    """
    x, y = batch
    task = _task(source, y, more)
    examples = {"example": map_inputs(lambda tensor: tensor[:2], x), "example_target": y[:2]}
    in_shape = tuple(x.shape[1:]) if isinstance(x, Tensor) else None
    n_out = _n_out(source) if task == "classification" else y.shape[1] if y.ndim > 1 else 1
    return {"task": task, "in_shape": in_shape, "n_out": n_out, **examples}


def _task(source: object, y: Tensor, more: Iterator[Tensor]) -> Task:
    name, task = type(source).__name__, _stated_task(source)
    if task is not None:
        is_classes = task == "classification"
        needed, remedy = ("whole numbers", "y.long()") if is_classes else ("floating-point numbers", "y.float()")
        if is_classes == y.is_floating_point():
            raise UserError(
                f"{name} says task={task}, which needs targets of {needed}, but they are {y.dtype}: give {remedy}"
            )
        return task
    if not y.is_floating_point():
        return "classification"
    meaning = _meaning(y, more)
    if meaning is not None and meaning.is_multilabel:
        return "multilabel"
    if meaning is not None:
        raise UserError(f"y {meaning.text} in {name}: {meaning.remedy}")
    return "regression"


def _stated_task(source: Any) -> Task | None:
    task = getattr(source, "task", None)  # of another package's class it may be anything
    return next((known for known in get_args(Task) if isinstance(task, str) and known == task), None)


def _meaning(y: Tensor, more: Iterator[Tensor]) -> Meaning | None:
    seen = y
    while (meaning := meaning_of_reals(seen.double().numpy())) is not None and len(seen) < LOOKED_AT:
        following = next(more, None)
        if following is None:
            break
        seen = torch.cat([seen, following])
    return meaning


def _n_out(source: object) -> int | None:
    """The number of classes as `source` states it: a batch may not hold all."""
    stated = stated_classes(source)
    labels = find_labels(source) if stated is None else None
    return stated if labels is None else int(labels.max()) + 1


def stated_classes(source: object) -> int | None:
    """The number of classes by an attribute; a list may name them."""
    for name in ("n_out", "num_classes", "n_classes", "classes"):
        value = getattr(source, name, None)
        if (number := _whole_number(value)) is not None:
            return number
        if isinstance(value, Sized) and not isinstance(value, str) and not _is_scalar(value):
            return len(value)
    return None


def _whole_number(value: object) -> int | None:
    """Of Python, NumPy or torch; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        return None
    if isinstance(value, np.ndarray | Tensor) and not _is_scalar(value):
        return None
    try:
        return operator.index(value)
    except TypeError:  # a tensor, or an array, of real numbers
        return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, np.generic | np.ndarray | Tensor) and value.ndim == 0


def find_labels(source: Any, name: str = "targets") -> Tensor | None:
    """The attribute `targets` (torchvision's convention), or that `name`, if it holds one whole number a sample."""
    targets = getattr(source, name, None)
    if not isinstance(targets, Sized) or isinstance(targets, (str, bytes)) or _is_scalar(targets):
        return None
    if len(targets) != len(source):
        return None
    try:
        labels = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError):  # strings, dictionaries, ragged lists: not labels
        return None
    return None if labels.is_floating_point() or labels.ndim != 1 else labels

"""Targets: which task they mean, and how they are encoded for it."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.arrays import Scale, Task
from bakeoff.data.meaning import meaning_of_reals
from bakeoff.errors import UserError

Targets = dict[str, NDArray]  # part -> y
IGNORED = -100  # the default `ignore_index` of torch's losses


def find_task(y: NDArray, task: Task | None, where: str) -> Task:
    """`task` if it is given; otherwise by the dtype of the targets: regression for floating-point ones.

    Targets of 0 and 1 in several columns are several labels a sample, in any dtype; all others are class numbers.

    Raises UserError for floating-point targets that look like classes: they are ranked by RMSE only where that is asked
    for.
    """
    if task is None:
        if y.dtype.kind != "f":
            has_columns = y.ndim == 2 and y.shape[1] > 1 and y.size
            meaning = meaning_of_reals(y) if has_columns and y.min() < y.max() else None
            return "multilabel" if meaning is not None and meaning.is_multilabel else "classification"
        meaning = meaning_of_reals(y) if y.size and y.min() < y.max() else None  # constant ones are refused anyway
        if meaning is not None and meaning.is_multilabel:
            return "multilabel"
        if meaning is not None:
            raise UserError(f"y {meaning.text} in {where}: {meaning.remedy}")
        return "regression"
    if task not in get_args(Task):
        raise UserError(f"task must be one of {', '.join(get_args(Task))} in {where}, got {task!r}")
    return task


def flat_labels(targets: Targets, where: str) -> tuple[Targets, NDArray]:
    """Labels as `(N,)`, and the classes of all parts in increasing order; a part may lack a class."""
    for part, y in targets.items():
        if y.ndim > 2 or y.size != len(y):
            raise UserError(
                f"y of {part} must hold one label a sample, (N,) or (N, 1), in {where}, got {y.shape}; for labels of "
                "pixels or tokens give a Dataset class of your own, with an attribute num_classes; for quantities "
                "give data.task=regression"
            )
    flat = {part: y.reshape(-1) for part, y in targets.items()}
    whole = np.concatenate(list(flat.values()))
    if (whole == IGNORED).any():
        raise UserError(f"y holds {IGNORED} in {where}, which losses ignore: drop these samples")
    if whole.dtype.kind == "f" and (whole != np.round(whole)).any():
        raise UserError(f"y must hold whole numbers for classification in {where}: give data.task=regression")
    classes = np.unique(whole)
    if len(classes) < 2:
        raise UserError(f"y must hold at least 2 classes in {where}, got only {classes[0]}")
    return flat, classes


def as_columns(targets: Targets, where: str) -> Targets:
    """Targets that are no classes as float64 `(N, width, ...)`."""
    shape = targets["train"].shape[1:] or (1,)
    for part, y in targets.items():
        if (y.shape[1:] or (1,)) != shape:
            needed = f"(N,) or {_of_samples(shape)}" if shape == (1,) else _of_samples(shape)
            raise UserError(f"y of {part} must be {needed} in {where}, got {y.shape}")
    return {part: y.reshape(len(y), *shape).astype(np.float64) for part, y in targets.items()}


def as_labels(targets: Targets, where: str) -> Targets:
    """Several labels a sample as float64 0 and 1, `(N, width, ...)`."""
    columns = as_columns(targets, where)
    for part, y in columns.items():
        if not np.isin(y, (0, 1)).all():
            raise UserError(f"y of {part} must hold 0 and 1 alone for multilabel in {where}")
    return columns


def _of_samples(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(str(length) for length in shape)})"


def mean_and_std(y: NDArray, where: str) -> tuple[Scale, Scale]:
    """Mean and standard deviation of the training targets `(N, width)`: a number, or one for each of several columns.

    Each column is scaled by its own, so that none decides the loss by its units. Targets with more axes, such as
    images, are in one unit: one number each.
    """
    if y.ndim > 2:
        y = y.reshape(-1, 1)
    columns = [np.ascontiguousarray(y[:, d]) for d in range(y.shape[1])]
    for d, column in enumerate(columns):
        if column.min() == column.max() or not column.std() > 0:
            name = "every training target" if len(columns) == 1 else f"column {d} of every training target"
            raise UserError(f"y must vary in {where}: {name} is {column[0]}")
    means, stds = (tuple(float(getattr(c, statistic)()) for c in columns) for statistic in ("mean", "std"))
    return (means[0], stds[0]) if len(columns) == 1 else (means, stds)

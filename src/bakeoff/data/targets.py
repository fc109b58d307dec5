"""Targets: which task they mean, and how they are encoded for it."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.arrays import Scale, Task
from bakeoff.data.dense_labels import IGNORED, check_are_labels, is_dense
from bakeoff.data.meaning import meaning_of_reals
from bakeoff.errors import UserError

Targets = dict[str, NDArray]  # part -> y


def find_task(x: NDArray, y: NDArray, task: Task | None, where: str) -> Task:
    """`task` if it is given; otherwise by the dtype of the targets: regression for floating-point ones.

    Real targets of 0 and 1 in several columns are several labels a sample; whole numbers are class numbers.

    Raises UserError for floating-point targets that look like classes: they are ranked by RMSE only where that is asked
    for; and for whole numbers `(N, ...)` that need not be labels of tokens or pixels.
    """
    if task is None:
        if y.dtype.kind != "f":
            if is_dense(y):
                check_are_labels(x, y, where)
            return "classification"
        meaning = meaning_of_reals(y) if y.size and y.min() < y.max() else None  # constant ones are refused anyway
        if meaning is not None and meaning.is_multilabel:
            return "multilabel"
        if meaning is not None:
            raise UserError(f"y {meaning.text} in {where}: {meaning.remedy}")
        return "regression"
    if task not in get_args(Task):
        raise UserError(f"task must be one of {', '.join(get_args(Task))} in {where}, got {task!r}")
    return task


def flat_labels(targets: Targets, num_classes: int | None, where: str) -> tuple[Targets, NDArray]:
    """Labels as `(N,)`, and the classes of all parts in increasing order; a part may lack a class.

    With `num_classes` the classes are 0 to that less 1, whether or not all of them occur.
    """
    for part, y in targets.items():
        if y.ndim > 2 or y.size != len(y):
            raise UserError(
                f"y of {part} must hold one label a sample, (N,) or (N, 1), as that of train in {where}, got {y.shape}"
            )
    flat = {part: y.reshape(-1) for part, y in targets.items()}
    whole = np.concatenate(list(flat.values()))
    if (whole == IGNORED).any():
        raise UserError(f"y holds {IGNORED} in {where}, which losses ignore: drop these samples")
    check_whole(whole, where)
    classes = np.unique(whole)
    if num_classes is not None and (classes[0] < 0 or classes[-1] >= num_classes):
        raise UserError(
            f"y holds the labels {classes[0]} to {classes[-1]} in {where}, but num_classes={num_classes}: labels must "
            f"be in [0, {num_classes})"
        )
    if len(classes) < 2:
        raise UserError(f"y must hold at least 2 classes in {where}, got only {classes[0]}")
    return flat, classes if num_classes is None else np.arange(num_classes)


def check_whole(labels: NDArray, where: str) -> None:
    """Raises UserError for labels that are no whole numbers."""
    if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
        raise UserError(f"y must hold whole numbers for classification in {where}: give data.task=regression")


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

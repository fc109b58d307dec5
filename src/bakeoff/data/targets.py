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
    """`task` if it is given; otherwise regression for floating-point targets, classification for all others.

    Raises UserError for floating-point targets that look like classes: they are ranked by RMSE only where that is asked
    for.
    """
    if task is None:
        if y.dtype.kind != "f":
            return "classification"
        meaning = meaning_of_reals(y) if y.size and y.min() < y.max() else None  # constant ones are refused anyway
        if meaning is not None:
            raise UserError(f"y {meaning.text} in {where}: {meaning.remedy}")
        return "regression"
    if task not in get_args(Task):
        raise UserError(f"task must be classification or regression in {where}, got {task!r}")
    return task


def flat_labels(targets: Targets, where: str) -> tuple[Targets, NDArray]:
    """Labels as `(N,)`, and the classes of all parts in increasing order; a part may lack a class."""
    for part, y in targets.items():
        if y.ndim > 2 or y.size != len(y):
            raise UserError(
                f"y of {part} must hold one label a sample, (N,) or (N, 1), in {where}, got {y.shape}; for labels of "
                "pixels or tokens give a Dataset class of your own, with an attribute num_classes; for quantities "
                "set task=regression"
            )
    flat = {part: y.reshape(-1) for part, y in targets.items()}
    whole = np.concatenate(list(flat.values()))
    if (whole == IGNORED).any():
        raise UserError(f"y holds {IGNORED} in {where}, which losses ignore: drop these samples")
    if whole.dtype.kind == "f" and (whole != np.round(whole)).any():
        raise UserError(f"y must hold whole numbers for classification in {where}: set task=regression")
    classes = np.unique(whole)
    if len(classes) < 2:
        raise UserError(f"y must hold at least 2 classes in {where}, got only {classes[0]}")
    return flat, classes


def as_columns(targets: Targets, where: str) -> Targets:
    """Regression targets as float64 `(N, width)`."""
    width = targets["train"].size // len(targets["train"])
    for part, y in targets.items():
        if y.ndim > 2 or y.size != len(y) * width:
            raise UserError(f"y of {part} must be (N,) or (N, {width}) in {where}, got {y.shape}")
    return {part: y.reshape(len(y), width).astype(np.float64) for part, y in targets.items()}


def mean_and_std(y: NDArray, where: str) -> tuple[Scale, Scale]:
    """Mean and standard deviation of the training targets `(N, width)`: a number, or one for each of several columns.

    Each column is scaled by its own, so that none decides the loss by its units.
    """
    columns = [np.ascontiguousarray(y[:, d]) for d in range(y.shape[1])]
    for d, column in enumerate(columns):
        if column.min() == column.max() or not column.std() > 0:
            name = "every training target" if len(columns) == 1 else f"column {d} of every training target"
            raise UserError(f"y must vary in {where}: {name} is {column[0]}")
    means, stds = (tuple(float(getattr(c, statistic)()) for c in columns) for statistic in ("mean", "std"))
    return (means[0], stds[0]) if len(columns) == 1 else (means, stds)

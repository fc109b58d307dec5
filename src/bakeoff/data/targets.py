"""Targets: which task they mean, and how they are encoded for it."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.arrays import Task
from bakeoff.errors import UserError

Targets = dict[str, NDArray]  # part -> y


def find_task(y: NDArray, task: Task | None, where: str) -> Task:
    """`task` if it is given; otherwise regression for floating-point targets, classification for all others."""
    if task is None:
        return "regression" if y.dtype.kind == "f" else "classification"
    if task not in get_args(Task):
        raise UserError(f"task must be classification or regression in {where}, got {task!r}")
    return task


def flat_labels(targets: Targets, where: str) -> tuple[Targets, NDArray]:
    """Labels as `(N,)`, and the classes of all parts in increasing order; a part may lack a class."""
    for part, y in targets.items():
        if y.ndim > 2 or y.size != len(y):
            raise UserError(f"y of {part} must hold one label a sample, (N,) or (N, 1), in {where}, got {y.shape}")
    flat = {part: y.reshape(-1) for part, y in targets.items()}
    whole = np.concatenate(list(flat.values()))
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


def mean_and_std(y: NDArray, where: str) -> tuple[float, float]:
    """Mean and standard deviation of the training targets.

    One mean and one deviation for all columns: metrics need one number, and the loss keeps their proportions.
    """
    if y.min() == y.max():
        raise UserError(f"y must vary in {where}: every training target is {y.flat[0]}")
    return float(y.mean()), float(y.std())

"""Labels of tokens (N, T) or pixels (N, H, W): whether whole numbers are such labels, and which classes they hold.

Unlike one label a sample they are never renumbered: a token in the target is the same token in the input, and a label
far behind the others, such as 255, is mostly one to be ignored. Their classes are 0 to C - 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import UserError

IGNORED = -100  # the default `ignore_index` of torch's losses
SHOWN = 8  # labels in a message
SAY = "say data.task, or an attribute task of a data set of your own"


def is_dense(y: NDArray) -> bool:
    """Whether there are several targets a sample; (N, 1) is one."""
    return y.ndim > 2 or y.size != len(y)


def check_are_labels(x: NDArray, y: NDArray, where: str) -> None:
    """Raises UserError where whole numbers (N, ...) may be something else than a label for each token or pixel of x."""
    shapes = f"{shape_of(y)} for inputs {shape_of(x)}"
    if y.ndim == 2 and np.isin(y, (0, 1)).all():
        raise UserError(
            f"y holds only 0 and 1, {shapes}, in {where}: {SAY}: multilabel if these are several labels a sample, "
            "classification if they are one label for each token; if they are a class a sample (one-hot), give its "
            "number"
        )
    if not _are_labels(x, y):
        raise UserError(
            f"y holds whole numbers {shapes}, in {where}: {SAY}: classification if they are a label for each token or "
            "pixel, regression if they are counts or other quantities"
        )


def _are_labels(x: NDArray, y: NDArray) -> bool:
    """Whether targets have the axes of inputs, or all but the one of channels, the first or the last."""
    axes, inputs = y.shape[1:], x.shape[1:]
    if axes == inputs:
        return y.ndim > 2 or x.dtype.kind != "f"  # of a table of real numbers as many columns may be counts
    return len(inputs) > 1 and axes in (inputs[1:], inputs[:-1])


def shape_of(array: NDArray) -> str:
    """`(N, 4, 4)`."""
    return f"({', '.join(['N', *map(str, array.shape[1:])])})"


def check_shapes(xs: dict[str, NDArray], ys: dict[str, NDArray], where: str) -> None:
    """Raises UserError unless labels have one shape in all parts, and images no axis of channels in their labels."""
    shapes = {part: shape_of(y) for part, y in ys.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{shape} in {part}" for part, shape in shapes.items())
        raise UserError(f"labels must have one shape in all parts of {where}, got {found}")
    y, x = ys["train"], xs["train"]
    if y.ndim == x.ndim == 4 and y.shape[1] == 1 and y.shape[2:] == x.shape[2:]:
        raise UserError(
            f"y must be one label a pixel in {where}, (N, H, W) of images {shape_of(x)}, got {shapes['train']}: drop "
            "the axis of length 1 (y[:, 0]); for quantities say data.task=regression"
        )


def number_of_classes(ys: dict[str, NDArray], num_classes: int | None, ignored: int, where: str) -> int:
    """`num_classes` if it is given; else one more than the largest label in any part, of which none may be missing.

    Raises UserError for labels that are not 0 to C - 1; those that are `ignored` are left out.
    """
    found = np.unique(np.concatenate([np.unique(y) for y in ys.values()]))
    found = found[found != ignored]
    if len(found) < 2:
        held = f"only {found[0]}" if len(found) else f"only {ignored}, which is ignored"
        raise UserError(f"y must hold at least 2 classes in {where}, got {held}")
    n_out = int(found[-1]) + 1 if num_classes is None else num_classes
    classes = np.arange(n_out)
    missing: NDArray = np.setdiff1d(classes, [*found, ignored]) if num_classes is None else classes[:0]
    wrong = np.setdiff1d(found, classes)
    if len(wrong) or len(missing):
        raise UserError(_describe(ys["train"], found, ignored, n_out if num_classes else None, where))
    return n_out


def _describe(y: NDArray, found: NDArray, ignored: int, num_classes: int | None, where: str) -> str:
    shown = ", ".join(map(str, found if len(found) <= SHOWN else [*found[: SHOWN - 2], "...", found[-1]]))
    text = f"y {shape_of(y)} holds the labels {shown} in {where}"
    ignore = f"the loss's ignore_index (now {ignored}) says which is not to be counted"
    if num_classes is not None:
        return f"{text}, but num_classes={num_classes}: labels must be in [0, {num_classes}); {ignore}"
    if found[0] < 0:
        return f"{text}: labels of tokens or pixels must be 0 to C - 1; {ignore}"
    return (
        f"{text}, and not all of 0 to {found[-1]}: renumber them, or say data.num_classes={found[-1] + 1} (or an "
        f"attribute num_classes of a data set of your own) if the others are classes, too; {ignore}"
    )

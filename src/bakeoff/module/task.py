"""What a net's output and a target mean: one of three kinds of task, and where in the output the prediction is.

kind             prediction                            target
classification   logits (N, C, d1, ...)                class indices (N, d1, ...)
multilabel       a logit for each label (N, L, ...)    0 or 1 in the same shape
regression       values (N, D, ...)                    values in the same shape

A prediction is what the net gives; or its `logits`, as a key or an attribute (Hugging Face's outputs, dictionaries,
dataclasses, named tuples); or the first of a tuple. The classes of tokens may be on the last axis: (N, T, C).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Kind = Literal["classification", "multilabel", "regression"]
KINDS: tuple[Kind, ...] = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class Task:
    """What a prediction is.

    `n_out` is the number of classes, of labels, or of columns; `class_axis` where the net has its classes, 1 or -1.
    """

    kind: Kind
    n_out: int
    class_axis: int = 1

    def prediction(self, output: Any) -> Any:
        """The prediction in an output, classes at axis 1; the output itself where nothing in it is one."""
        found = output if isinstance(output, Tensor) else prediction_in(output)
        if self.class_axis == -1 and isinstance(found, Tensor):
            return found.movedim(-1, 1)
        return found


def prediction_in(output: Any) -> Any:
    """`logits` of an output that is no tensor, or the first of a tuple; the output itself where there is neither."""
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if found is None and isinstance(output, tuple) and output:
        found = output[0]
    return found if isinstance(found, Tensor) else output


def class_axis_of(output: Any, target: Tensor, n_out: int, asked: int | None) -> int:
    """The axis of a prediction on which the classes are, 1 or -1, by its shape.

    Args:
        output: a prediction as the net gives it.
        target: class indices.
        n_out: the number of classes.
        asked: what the user says.

    Raises:
        ValueError: both axes fit, and nobody has said which it is.

    """
    if asked is not None or not isinstance(output, Tensor) or output.ndim <= 2:
        return asked or 1
    given, labels = tuple(output.shape), tuple(target.shape)
    is_first = given[1] == n_out and labels == (given[0], *given[2:])
    is_last = given == (*labels, n_out)
    if is_first and is_last:
        raise ValueError(
            f"gives {given} for targets {labels}: its classes may be on axis 1 or on the last axis; say "
            "task.class_axis=1 or task.class_axis=-1"
        )
    return -1 if is_last else 1

"""One data set held as tensors: its three parts, its task and the scale of its targets."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from bakeoff.errors import UserError

Task = Literal["classification", "multilabel", "regression"]
Part = tuple[Tensor, Tensor]
Scale = float | tuple[float, ...]  # one number, or one for each of several columns


@dataclass(frozen=True, eq=False)  # comparing tensors gives no single truth value: compare digests
class Arrays:
    """Training, validation and test data, each a pair `(x, y)` of tensors with samples along the first axis.

    `y` is int64 `(N,)` in `[0, n_out)` for classification, or `(N, ...)` for labels of tokens or pixels, some of which
    may be `ignore_index`, that is then given; floating-point 0 and 1 `(N, n_out)` for several labels a sample
    (`multilabel`); and floating-point `(N, n_out, ...)` for regression. Metrics undo the standardisation of
    regression targets: `y * target_std + target_mean`, column by column. Inputs are those of the
    source less `input_mean`, over `input_std`, and class k is its label `classes[k]`; None where they are taken as they
    are. Raises UserError if the parts do not fit together. They are not checked for NaN: the factories do that, and
    name the file. With `drop_last` an epoch leaves out the samples of an incomplete last batch, others in each.
    `is_users_own` says that the units of inputs and labels may change from one command to the next: they are then part
    of the content. Those of the data sets that come with the package never do.
    """

    train: Part
    val: Part
    test: Part
    task: Task
    n_out: int
    target_mean: Scale = 0.0
    target_std: Scale = 1.0
    input_mean: Tensor | None = None
    input_std: Tensor | None = None
    classes: Tensor | None = None
    drop_last: bool = False
    ignore_index: int | None = None
    is_users_own: bool = False

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise UserError(f"task must be one of {', '.join(get_args(Task))}, got {self.task!r}")
        if not isinstance(self.drop_last, bool):
            raise UserError(f"data.drop_last must be true or false, got {self.drop_last!r}")
        for name, (x, y) in self.parts().items():
            self._check(name, x, y)

    def parts(self) -> dict[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train[0].shape[1:])

    @property
    def n_in(self) -> int:
        """Number of values in one input."""
        return math.prod(self.in_shape)

    def digest(self) -> str:
        """Hex SHA-256 of the content; it does not depend on the path or the device of the data."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        sha = hashlib.sha256(f"{self.task} {self.n_out} {self.target_mean} {self.target_std}".encode())
        named = [(name, tensor) for name, part in self.parts().items() for tensor in part]
        if self.is_users_own:
            units = {"input_mean": self.input_mean, "input_std": self.input_std, "classes": self.classes}
            named += [(name, tensor.double()) for name, tensor in units.items() if tensor is not None]
        for name, tensor in named:
            sha.update(f" {name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
            # as bytes, since NumPy has no bfloat16; flat, since an array of 0 features cannot be viewed as bytes
            flat = tensor.detach().cpu().contiguous().flatten()
            sha.update(flat.view(torch.uint8).numpy().data)
        return sha.hexdigest()

    def _check(self, name: str, x: Tensor, y: Tensor) -> None:
        if len(x) != len(y) or not len(x):
            raise UserError(f"{name} must hold one y for each x, and at least one, got {len(x)} x and {len(y)} y")
        if tuple(x.shape[1:]) != self.in_shape:
            raise UserError(f"inputs of {name} must have shape {self.in_shape} as in train, got {tuple(x.shape[1:])}")
        is_classes = self.task == "classification"
        fits = y.dtype == torch.int64 if is_classes else y.is_floating_point()
        width = 1 if self.task == "regression" else None  # of which there may be more axes
        dense = tuple(self.train[1].shape[1:]) if self.ignore_index is not None else ()
        axes = dense if is_classes else (self.n_out,)
        if not fits or tuple(y.shape[1:][:width]) != axes:
            shape = f"(N, {', '.join(map(str, axes))})" if axes else "(N,)"
            required = f"{'int64' if is_classes else 'floating-point'} {shape}"
            raise UserError(f"y of {name} must be {required} for {self.task}, got {y.dtype} {tuple(y.shape)}")
        if is_classes:
            self._check_classes(name, y)

    def _check_classes(self, name: str, y: Tensor) -> None:
        if self.ignore_index is not None:
            y = y[y != self.ignore_index]
            if not len(y):
                raise UserError(f"every label of {name} is {self.ignore_index}, which is ignored: nothing is measured")
        if not 0 <= y.min() <= y.max() < self.n_out:
            raise UserError(f"y of {name} must be in [0, {self.n_out}), got [{y.min()}, {y.max()}]")

"""Checks of raw inputs and targets; every message names the array and its file."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.errors import UserError

RawPart = tuple[NDArray, NDArray]


def as_numpy(value: object, name: str, where: str) -> NDArray:
    """A numeric array in the machine's byte order from a tensor, an array or nested lists."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value  # NumPy has no bfloat16
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"{name} must be an array of numbers in {where}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} must hold real numbers in {where}, got dtype {array.dtype}: encode it as numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_parts(raw: dict[str, RawPart], where: str) -> dict[str, RawPart]:
    """The parts, with inputs of shape `(N,)` as `(N, 1)`.

    Raises UserError unless the parts fit together and all numbers are finite.
    """
    parts = {}
    for part, (x, y) in raw.items():
        names = ("x", "y") if len(raw) == 1 else (f"x_{part}", f"y_{part}")
        if x.ndim == 0 or y.ndim == 0:
            raise UserError(f"{names[0]} and {names[1]} must have a samples axis in {where}, got a single number")
        if len(x) != len(y):
            raise UserError(
                f"{names[0]} and {names[1]} must be equally long in {where}, got {len(x)} and {len(y)} samples"
            )
        _check_values(x, names[0], where)
        _check_values(y, names[1], where)
        parts[part] = (x[:, None] if x.ndim == 1 else x), y
    shapes = {part: x.shape[1:] for part, (x, _) in parts.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"inputs must have one shape in all parts of {where}, got {shapes}")
    return parts


def _check_values(array: NDArray, name: str, where: str) -> None:
    if array.size == 0:
        raise UserError(f"{name} must not be empty in {where}, got shape {array.shape}")
    # min and max are NaN if any value is: no array of booleans is needed
    with np.errstate(over="ignore"):
        extremes = np.array([array.min(), array.max()]).astype(np.float32)
    if not np.isfinite(extremes).all():
        with np.errstate(over="ignore"):
            index = next(i for i, sample in enumerate(array) if not np.isfinite(sample.astype(np.float32)).all())
        raise UserError(
            f"{name} must hold no NaN, infinity or number over 3e38 in {where}, but sample {index} does: drop it"
        )

"""Standardise inputs: x <- (x - mean) / std, with the mean and the standard deviation of the training part.

In NumPy and not in torch: torch's sums change in the last bits with the number of threads, and so would the data
and the digest that identifies a run.
"""

from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROWS = 1024  # samples converted to float64 at a time: there is no float64 copy of the whole set


def moments(x: NDArray) -> tuple[Floats, Floats]:
    """Mean and standard deviation of `(N, ...)`, shaped to broadcast against it.

    Per channel for images `(N, C, H, W)`, per feature otherwise. Where the training part does not vary, the
    deviation is 1: such a feature is only centred.
    """
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    total = _sum(_rows(x), axes)
    n = x.size // total.size
    mean = total / n
    variance = _sum(((rows - mean) ** 2 for rows in _rows(x)), axes) / n
    # compares values: rounding makes the variance of a constant 0.1 a tiny positive number
    low = x.min(axis=axes, keepdims=True)
    constant = low == x.max(axis=axes, keepdims=True)
    mean = np.where(constant, low, mean)  # exactly: of 1e20 the rounded mean would leave 1e4
    return mean, np.where(constant | (variance == 0), 1.0, np.sqrt(variance))


def standardise(x: NDArray, mean: Floats, std: Floats) -> NDArray[np.float32]:
    """(x - mean) / std as float32, a new array."""
    out = np.empty(x.shape, np.float32)
    for target, rows in zip(_rows(out), _rows(x), strict=True):
        target[...] = (rows - mean) / std
    return out


def _rows(x: NDArray) -> Iterator[NDArray]:
    return (x[i : i + _ROWS] for i in range(0, len(x), _ROWS))


def _sum(blocks: Iterable[NDArray], axes: tuple[int, ...]) -> Floats:
    sums = (block.sum(axis=axes, dtype=np.float64, keepdims=True) for block in blocks)
    return reduce(np.add, sums)

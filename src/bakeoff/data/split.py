"""Fixed splits: which samples are in train, val and test depends on `split_seed`, never on a run's seed."""

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from bakeoff.errors import UserError

Indices = NDArray[np.intp]
Sizes = dict[str, float]  # part -> a fraction in (0, 1) or a whole number of samples


def split(n: int, sizes: Sizes, *, split_seed: int, labels: NDArray | None = None) -> dict[str, Indices]:
    """Draw the parts named in `sizes` from `n` samples, in that order; what remains is `train`.

    A fraction is of all `n`, rounded up as scikit-learn does. With `labels`, every part keeps the proportions
    of the classes. Indices are sorted. Raises UserError if a size is wrong or a class has too few members:
    an unstratified split could silently leave a class out of a part.
    """
    if not isinstance(split_seed, int) or not 0 <= split_seed < 2**32:
        raise UserError(f"split_seed must be a whole number in [0, 2**32), got {split_seed!r}")
    counts = {name: _count(name, size, n) for name, size in sizes.items()}
    if sum(counts.values()) >= n:
        requested = " and ".join(f"{name}_size={size}" for name, size in sizes.items())
        raise UserError(f"{requested} must leave samples to train on, got {n} samples in all")
    if labels is not None and sizes:
        _check_classes(labels, parts=len(sizes) + 1)
    rest = np.arange(n)
    parts = {}
    for name, count in counts.items():
        try:
            rest, drawn = train_test_split(
                rest,
                test_size=count,
                stratify=None if labels is None else labels[rest],
                random_state=split_seed,
            )
        except ValueError as error:
            raise UserError(f"{name}_size={sizes[name]} allows no stratified split: {error}") from error
        parts[name] = np.sort(drawn)
    return {"train": np.sort(rest), **parts}


def _count(name: str, size: float, n: int) -> int:
    if isinstance(size, int) and not isinstance(size, bool) and size >= 1:
        return size
    if isinstance(size, float) and 0 < size < 1:
        return math.ceil(size * n)
    raise UserError(f"{name}_size must be a fraction in (0, 1) or a whole number >= 1, got {size!r}")


def _check_classes(labels: NDArray, parts: int) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < parts:
        raise UserError(
            f"class {classes[counts.argmin()]} has {counts.min()} samples, too few for {parts} parts: drop "
            "or merge it, give the parts yourself (x_train, y_train, x_val, ...), or make y "
            "floating-point if it is a quantity"
        )

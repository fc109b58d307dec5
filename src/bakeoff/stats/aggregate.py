"""One number for several: mean, interquartile mean and median, of the last axis.

    mean                (1/n) Σ x_i
    interquartile mean  mean of x_(k+1) .. x_(n-k),  k = ⌊n/4⌋       the mean trimmed by 25% at each end
    median              the middle value, or the mean of the two

The interquartile mean resists outliers as the median does, and wastes fewer values: Agarwal et al., "Deep Reinforcement
Learning at the Edge of the Statistical Precipice", NeurIPS 2021. Below 4 values nothing is trimmed: it is the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def mean(values: ArrayLike) -> np.ndarray:
    """Mean of the last axis, (..., n) -> (...).

    >>> mean([1.0, 2.0, 6.0]).item()
    3.0

    Raises:
        ValueError: there are no values, or one is not finite.

    """
    return np.asarray(_finite(values).mean(axis=-1))


def interquartile_mean(values: ArrayLike) -> np.ndarray:
    """Mean of the middle half of the last axis, (..., n) -> (...): ⌊n/4⌋ values are left out at each end.

    >>> interquartile_mean([0.0, 2.0, 3.0, 100.0]).item()
    2.5

    Raises:
        ValueError: there are no values, or one is not finite.

    """
    ordered = np.sort(_finite(values), axis=-1)
    n = ordered.shape[-1]
    return np.asarray(ordered[..., n // 4 : n - n // 4].mean(axis=-1))


def median(values: ArrayLike) -> np.ndarray:
    """Median of the last axis, (..., n) -> (...). A value may be infinite: a target that was missed.

    >>> median([300.0, 200.0, float("inf")]).item()  # steps to a target, for 3 seeds
    300.0

    Raises:
        ValueError: there are no values, or one is NaN.

    """
    array = np.asarray(values, dtype=float)
    if not array.size or np.isnan(array).any():
        raise ValueError("values must hold numbers, got none or NaN: give a missed target as infinity")
    return np.asarray(np.median(array, axis=-1))


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if not array.size or not np.isfinite(array).all():
        raise ValueError("values must hold finite numbers: leave diverged runs out and count them instead")
    return array

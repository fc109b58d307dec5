"""Means, Student t and bootstrap intervals, and paired differences over seeds: numbers in, numbers out.

    mean     m = (1/n) Σ x_i
    interval m ± t(n-1, (1 + level) / 2) · s / √n,    s² = Σ (x_i - m)² / (n - 1)

Student, "The Probable Error of a Mean", Biometrika 6 (1908).

Why t and not a bootstrap: a sweep has about 3 seeds. A percentile bootstrap of 3 values never leaves [min, max], which
brackets the centre of a symmetric distribution with probability 1 - 2/2³ = 75% at most, so its "95%" interval would be
far too narrow. The t interval pays for the unknown s with wide tails (t = 4.30 at n = 3); in return it assumes that
values over seeds are near normal.

No correction for multiple comparisons is applied: each interval is for itself. Of 20 arms that differ from another by
chance alone, about one is expected to be called different; a report that marks arms must say so.

Bands of curves are percentile bootstraps nevertheless (Efron, "Bootstrap Methods", Annals of Statistics 7 (1979)):

    m*  = mean of n values drawn from x_1 .. x_n with replacement,   band = [F⁻¹(α/2), F⁻¹(1 - α/2)],   F the law of m*

They stay where a metric can be (an accuracy never above 1) and show skew. With 3 seeds a band is the range of the
seeds, no more: it shows where runs went, and the t interval of the final value says what is sure.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit  # Student t quantiles without the second that importing scipy.stats costs

__all__ = ["Estimate", "bootstrap_interval", "mean_interval", "paired_difference", "too_close_to_call"]

LEVEL = 0.95
MAX_ENUMERATED = 6  # values; 462 different resamples
RESAMPLES = 2000  # of more values than that


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values and its interval `[low, high]`: None at n = 1, since one value has no spread.

    >>> Estimate(mean=0.75, low=0.5, high=1.0, n=3).half_width
    0.25
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Distance from the mean to either end of the interval, in the units of the values."""
        return None if self.high is None else self.high - self.mean


def mean_interval(values: Iterable[float], *, level: float = LEVEL) -> Estimate:
    """Mean of `values` (one a seed, in any order) with its two-sided t interval.

    Equal values give an interval of width 0: right by the formula, too narrow for a metric that moves in coarse steps.
    Sums are exact, so the order of the values never changes a bit of the result.

    >>> accuracy = mean_interval([0.91, 0.93, 0.95])
    >>> print(f"{accuracy.mean:.3f}, 95% interval {accuracy.low:.3f} to {accuracy.high:.3f}, n = {accuracy.n}")
    0.930, 95% interval 0.880 to 0.980, n = 3

    Args:
        values: one for each seed, in any units.
        level: of the interval.

    Raises:
        ValueError: there are no values; one is not finite (a diverged run must never be averaged in); or `level` is
            outside (0, 1).

    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    xs = [float(x) for x in values]
    if not xs:
        raise ValueError("values must hold at least 1 number, got none")
    for x in xs:
        if not math.isfinite(x):
            raise ValueError(f"values must be finite, got {x}: leave diverged runs out and count them instead")
    mean, n = statistics.mean(xs), len(xs)
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * statistics.stdev(xs) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, level: float = LEVEL
) -> Estimate | None:
    """Mean of `first - second`, both seed -> value, over the seeds that they share; None when they share none.

    Arms of one seed start from the same weights and see the same data, so what a seed does to both cancels in the
    difference; two separate intervals would count it twice.

    >>> adam, sgd = {0: 0.91, 1: 0.93, 2: 0.95}, {0: 0.90, 1: 0.915, 2: 0.94, 7: 0.2}
    >>> gap = paired_difference(adam, sgd)
    >>> print(f"{gap.mean:.4f}, {gap.low:.4f} to {gap.high:.4f}, over {gap.n} shared seeds")
    0.0117, 0.0045 to 0.0188, over 3 shared seeds

    Raises:
        ValueError: a value is not finite, whether or not its seed is shared.

    """
    for value in (*first.values(), *second.values()):
        if not math.isfinite(value):
            raise ValueError(f"values must be finite, got {value}: leave diverged runs out")
    shared = sorted(first.keys() & second.keys())
    return mean_interval([first[s] - second[s] for s in shared], level=level) if shared else None


def too_close_to_call(first: Mapping[int, float], second: Mapping[int, float], *, level: float = LEVEL) -> bool:
    """True when the paired interval contains 0, or there is none: fewer than 2 seeds are shared.

    >>> too_close_to_call({0: 0.91, 1: 0.93, 2: 0.95}, {0: 0.90, 1: 0.915, 2: 0.94})
    False
    >>> too_close_to_call({0: 0.91, 1: 0.93, 2: 0.95}, {0: 0.92, 1: 0.90, 2: 0.96})
    True
    >>> too_close_to_call({0: 0.99}, {0: 0.10})  # one pair has no spread
    True

    Raises:
        ValueError: a value is not finite.

    """
    difference = paired_difference(first, second, level=level)
    if difference is None or difference.low is None or difference.high is None:
        return True
    return difference.low <= 0 <= difference.high


def bootstrap_interval(values: np.ndarray, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap of the mean: `values` (n, P), n seeds at P points, to low and high, (P,) each.

    Up to 6 values all n^n resamples are counted, so the result is exact; above, 2,000 are drawn from a fixed generator,
    the same ones at every point.

    >>> low, high = bootstrap_interval(np.array([[0.9, 1.0], [0.7, 2.0], [0.8, 4.0]]))  # 3 seeds at 2 points
    >>> low.tolist(), high.tolist()
    ([0.7, 1.0], [0.9, 4.0])

    Raises:
        ValueError: there are fewer than 2 values for each point, or one is not finite.

    """
    n = len(values)
    if n < 2:
        raise ValueError(f"values must hold at least 2 numbers a point, got {n}")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite: leave diverged runs out and count them instead")
    counts, weights = _resamples(n)
    means = counts @ values / n
    # the sums of a product may round past the largest value: an interval never leaves the values
    means = np.clip(means, values.min(axis=0), values.max(axis=0))
    order = np.argsort(means, axis=0)
    law = np.cumsum(weights[order], axis=0)
    ranks = [np.argmax(law >= law[-1] * p - 1e-9, axis=0) for p in ((1 - level) / 2, (1 + level) / 2)]
    low, high = (np.take_along_axis(np.take_along_axis(means, order, 0), rank[None], 0)[0] for rank in ranks)
    return low, high


@lru_cache
def _resamples(n: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each resample takes each value (R, n), and how many of the orders of drawing it stands for (R,)."""
    if n > MAX_ENUMERATED:
        drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
        return np.stack([np.bincount(row, minlength=n) for row in drawn]), np.ones(RESAMPLES)
    multisets = itertools.combinations_with_replacement(range(n), n)
    counts = np.stack([np.bincount(multiset, minlength=n) for multiset in multisets])
    orders = [math.factorial(n) / math.prod(map(math.factorial, row)) for row in counts.tolist()]
    return counts, np.array(orders)

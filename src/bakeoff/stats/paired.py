"""Differences between two arms, paired by seed, and their t test.

    D_s = first_s - second_s,    t = mean(D) √n / s_D,    p = 2 P(T_{n-1} >= |t|)

Student, "The Probable Error of a Mean", Biometrika 6 (1908). Arms of one seed start from the same weights and see the
same data, so what a seed does to both cancels in the difference; two separate intervals would count it twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from scipy.special import stdtr

from bakeoff.stats.interval import LEVEL, Estimate, mean_and_spread, mean_interval

NO_SPREAD = 1e-3  # of the mean; recorded metrics are float32, so equal differences are equal to about this


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, level: float = LEVEL
) -> Estimate | None:
    """Mean of `first - second`, both seed -> value, over the seeds that they share; None when they share none.

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

    For one comparison alone, chosen before its values were seen; `compare_arms` is for all arms of a sweep.

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


def paired_t_test(differences: Iterable[float]) -> float:
    """Two-sided p-value of the paired t test; 1 below 2 differences.

    Differences without spread (a seed that changes nothing, a metric in coarse steps) leave t undefined: they get
    2^(1-n), which is the p-value of equal signs and needs no spread.

    >>> round(paired_t_test([0.01, 0.015, 0.01]), 4)
    0.0198
    >>> paired_t_test([0.01, 0.01, 0.01]), paired_t_test([0.0, 0.0, 0.0])
    (0.25, 1.0)

    Raises:
        ValueError: a difference is not finite.

    """
    xs = [float(x) for x in differences]
    if not all(map(math.isfinite, xs)):
        raise ValueError("differences must be finite: leave diverged runs out and count them instead")
    n = len(xs)
    if n < 2 or not any(xs):
        return 1.0
    mean, spread = mean_and_spread(xs)
    if spread < NO_SPREAD * abs(mean):
        return 2.0 ** (1 - n)
    return 2 * float(stdtr(n - 1, -abs(mean) * math.sqrt(n) / spread))


def without_spread(differences: Iterable[float]) -> bool:
    """Whether differences, at least 2, are the same for every seed, but for rounding: then s, and so t, say nothing.

    >>> without_spread([0.01, 0.01, 0.01]), without_spread([0.01, 0.02, 0.01])
    (True, False)
    """
    mean, spread = mean_and_spread(list(differences))
    return spread < NO_SPREAD * abs(mean) or spread == 0

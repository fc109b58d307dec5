"""A mean over seeds and its Student t interval.

    mean     m = (1/n) Σ x_i
    interval m ± t(n-1, (1 + level) / 2) · s / √n,    s² = Σ (x_i - m)² / (n - 1)

Student, "The Probable Error of a Mean", Biometrika 6 (1908).

Why t and not a bootstrap: a sweep has about 3 seeds. A percentile bootstrap of 3 values never leaves [min, max], which
brackets the centre of a symmetric distribution with probability 1 - 2/2³ = 75% at most, so its "95%" interval would be
far too narrow. The t interval pays for the unknown s with wide tails (t = 4.30 at n = 3); in return it assumes that
values over seeds are near normal.

Each interval is for itself: no correction for multiple comparisons is in it. `bakeoff.stats.family` has those that hold
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # Student t quantiles without the second that importing scipy.stats costs

LEVEL = 0.95


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
        """Distance from the mean to the upper end of the interval, in the units of the values."""
        return None if self.high is None else self.high - self.mean


def mean_interval(
    values: Iterable[float], *, level: float = LEVEL, within: tuple[float, float] | None = None
) -> Estimate:
    """Mean of `values` (one a seed, in any order) with its two-sided t interval.

    Equal values give an interval of width 0: right by the formula, too narrow for a metric that moves in coarse steps.
    Sums are exact, so the order of the values never changes a bit of the result.

    >>> accuracy = mean_interval([0.91, 0.93, 0.95])
    >>> print(f"{accuracy.mean:.3f}, 95% interval {accuracy.low:.3f} to {accuracy.high:.3f}, n = {accuracy.n}")
    0.930, 95% interval 0.880 to 0.980, n = 3
    >>> mean_interval([0.96, 0.97, 0.999], within=(0, 1)).high  # without it 1.027, which no accuracy is
    1.0

    Args:
        values: one for each seed, in any units.
        level: of the interval.
        within: the least and the greatest value that the metric can have. The interval is cut to it: what is cut off
            cannot be the true mean, so it covers that as often as before.

    Raises:
        ValueError: there are no values; one is not finite (a diverged run must never be averaged in) or not `within`;
            or `level` is outside (0, 1).

    """
    check_level(level)
    xs = [float(x) for x in values]
    if not xs:
        raise ValueError("values must hold at least 1 number, got none")
    for x in xs:
        if not math.isfinite(x):
            raise ValueError(f"values must be finite, got {x}: leave diverged runs out and count them instead")
    least, greatest = within or (-math.inf, math.inf)
    for x in xs:
        if not least <= x <= greatest:
            raise ValueError(
                f"values must be within {least:g} and {greatest:g}, got {x:g}: is that the metric's range?"
            )
    mean, spread, n = *mean_and_spread(xs), len(xs)
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * spread / math.sqrt(n)
    return Estimate(mean, max(mean - half, float(least)), min(mean + half, float(greatest)), n)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (NaN of one value); the order of the values changes no bit.

    `statistics` adds fractions, which takes 100 times as long: minutes for all pairs of a hundred arms.

    >>> mean_and_spread([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    n = len(values)
    mean = math.fsum(values) / n
    mean += math.fsum([*values, *[-mean] * n]) / n  # what the division has rounded off: equal values have no spread
    return mean, math.sqrt(math.fsum((x - mean) * (x - mean) for x in values) / (n - 1)) if n > 1 else math.nan


def check_level(level: float) -> None:
    """Raises ValueError unless the level is a share between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")

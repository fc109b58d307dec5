"""Several comparisons, and what may be said of all of them at once.

    from 8 seeds on   p of max-t by sign flips (`bakeoff.stats.flips`)
    below             p of paired t, by Holm:  p_(k) = max_{j ≤ k} min(1, (m - j + 1) · p_(j)),  p_(1) <= p_(2) <= ...
    interval          mean(D) ± t(n-1, 1 - α / 2m) · s / √n,    m comparisons (Bonferroni)

Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979). Below 8
seeds sign flips decide nothing or little: 2^(1-5) > .05.

Bonferroni loses little here, though comparisons share arms: with 9 degrees of freedom and the 325 pairs of 26 arms the
critical t is 6.2, and 6.1 from the joint law. In return intervals hold together at any n. They agree with p: an end is
moved to 0, where it is open, if p says that the difference is not 0 (both step down, which gains a little on single
intervals: Guilbaud, Biometrical Journal 50 (2008)), and to 0, where it is closed, if p doesn't.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from scipy.special import stdtrit

from bakeoff.stats.flips import max_t_test
from bakeoff.stats.interval import LEVEL, Estimate, check_level, mean_interval
from bakeoff.stats.paired import paired_t_test, without_spread
from bakeoff.stats.wins import Wins

FLIPS_FROM = 8  # seeds
_ROUNDING = 1e-12  # of p
Method = Literal["max-t", "holm", "sign test", "none"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """What is known of one difference, first - second.

    `difference` with its interval and `alone`, a p-value, are for this comparison by itself (None and 1 where no seed
    is shared); `low`, `high` and `p` hold for the whole family. There are no `low` and `high` below 2 seeds, under the
    sign test, and where the difference is the same for every seed, since its spread isn't known then. `lead`: 1 where
    the first is ahead, -1 where the second is, 0 where neither.

    >>> gap = Comparison(Estimate(1.0, 0.5, 1.5, 3), low=0.2, high=1.8, p=0.01, alone=0.004, lead=1, method="holm")
    >>> gap.different(0.95), gap.swapped().lead
    (True, -1)
    """

    difference: Estimate | None
    low: float | None
    high: float | None
    p: float
    alone: float
    lead: int
    method: Method

    def different(self, level: float = LEVEL) -> bool:
        """Whether the difference is not 0, sure for the whole family."""
        return self.p <= 1 - level + _ROUNDING

    def swapped(self) -> Comparison:
        """The same of second - first."""
        gap = self.difference
        turned = None if gap is None else Estimate(-gap.mean, _minus(gap.high), _minus(gap.low), gap.n)
        low, high = _minus(self.high), _minus(self.low)
        return replace(self, difference=turned, low=low, high=high, lead=-self.lead)

    def with_p(self, p: float, level: float) -> Comparison:
        """The same under another p-value of the family, its interval moved so that it says the same."""
        low, high = self.low, self.high
        if low is None or high is None:
            return replace(self, p=p)
        if p > 1 - level + _ROUNDING:
            low, high = min(low, 0.0), max(high, 0.0)
        elif self.lead > 0:
            low = max(low, 0.0)
        else:
            high = min(high, 0.0)
        return replace(self, p=p, low=low, high=high)


def _minus(x: float | None) -> float | None:
    return None if x is None else -x


def holm(p_values: Iterable[float]) -> list[float]:
    """p-values corrected for their number, in the order given.

    >>> holm([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.04]

    Raises:
        ValueError: one is not between 0 and 1.

    """
    ps = np.array([float(p) for p in p_values])
    if not ((ps >= 0) & (ps <= 1)).all():
        raise ValueError("p-values must be between 0 and 1")
    order = np.argsort(ps, kind="stable")
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)), 1)
    return [float(p) for p in corrected]


def compare_family(
    differences: Mapping[Key, Mapping[int, float]],
    *,
    level: float = LEVEL,
    others: int = 0,
    generator: np.random.Generator | None = None,
) -> dict[Key, Comparison]:
    """Each difference with a p-value and an interval that hold for all of them.

    >>> gaps = {"adam - sgd": {0: 1.0, 1: 1.2, 2: 1.1}, "adam - rmsprop": {0: 0.1, 1: -0.2, 2: 0.2}}
    >>> for name, found in compare_family(gaps).items():
    ...     print(f"{name}: {found.low:.2f} to {found.high:.2f}, p = {found.p:.3f}, {found.method}")
    adam - sgd: 0.74 to 1.46, p = 0.005, holm
    adam - rmsprop: -0.71 to 0.78, p = 0.808, holm

    Args:
        differences: comparison -> seed -> first - second.
        level: at which all hold together.
        others: comparisons of the same family that are decided elsewhere; these get their part of 1 - level.
        generator: draws sign flips above 12 seeds.

    Raises:
        ValueError: a difference is not finite, `level` not in (0, 1), or there are over 12 seeds and no generator.

    """
    check_level(level)
    tested = {key: by_seed for key, by_seed in differences.items() if len(by_seed) > 1}
    size = len(tested) + others
    method: Method = "max-t" if min(map(len, tested.values()), default=0) >= FLIPS_FROM else "holm"
    if method == "max-t":
        alone, ps = (p.tolist() for p in max_t_test(_table(tested), generator=generator))
    else:
        alone = [paired_t_test(by_seed.values()) for by_seed in tested.values()]
        ps = holm(alone)
    corrected = [min(1.0, p * size / len(tested)) for p in ps]
    known = dict(zip(tested, zip(alone, corrected, strict=True), strict=True))
    return {
        key: _comparison(by_seed, *known[key], method, size, level) if key in known else _untested(by_seed, level)
        for key, by_seed in differences.items()
    }


def _table(differences: Mapping[Key, Mapping[int, float]]) -> np.ndarray:
    """(seeds, comparisons), NaN where a comparison lacks a seed."""
    if not all(math.isfinite(x) for by_seed in differences.values() for x in by_seed.values()):
        raise ValueError("differences must be finite: leave diverged runs out and count them instead")
    seeds = sorted(set().union(*differences.values()))
    columns = [[by_seed.get(seed, math.nan) for seed in seeds] for by_seed in differences.values()]
    return np.array(columns, dtype=float).T


def _untested(by_seed: Mapping[int, float], level: float) -> Comparison:
    alone = mean_interval(by_seed.values(), level=level) if by_seed else None
    return Comparison(alone, None, None, p=1.0, alone=1.0, lead=_sign(alone.mean) if alone else 0, method="none")


def _comparison(
    by_seed: Mapping[int, float], alone: float, p: float, method: Method, size: int, level: float
) -> Comparison:
    gap = mean_interval(by_seed.values(), level=level)
    if without_spread(by_seed.values()):
        return Comparison(gap, None, None, p, alone, _sign(gap.mean), method)
    together, by_itself = (float(stdtrit(gap.n - 1, 1 - (1 - level) / (2 * m))) for m in (size, 1))
    half = (gap.half_width or 0.0) * together / by_itself
    found = Comparison(gap, gap.mean - half, gap.mean + half, p, alone, _sign(gap.mean), method)
    return found.with_p(p, level)


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)


def compare_signs(
    wins: Mapping[Key, Wins], completed: Mapping[Key, Estimate | None], *, others: int = 0
) -> dict[Key, Comparison]:
    """As `compare_family`, by the sign test (Holm): for comparisons in which a run ended badly, and so lost.

    There is no interval: a mean without the bad runs is no mean of the arm. That of the `completed` is for show.

    >>> found = compare_signs({"adam - sgd": Wins(9, 1)}, {"adam - sgd": None})
    >>> round(found["adam - sgd"].p, 4)
    0.0215
    """
    share = (len(wins) + others) / max(len(wins), 1)
    ps = dict(zip(wins, holm(found.p for found in wins.values()), strict=True))
    return {
        key: Comparison(
            completed[key],
            low=None,
            high=None,
            p=min(1.0, share * ps[key]),
            alone=found.p,
            lead=_sign(found.wins - found.losses),
            method="sign test",
        )
        for key, found in wins.items()
    }

"""How often one arm beats another over shared seeds: P(A > B), its exact interval and the sign test.

    P(A > B) = wins / (wins + losses)                                    ties are left out, and counted
    interval [B⁻¹(α/2; w, l + 1), B⁻¹(1 - α/2; w + 1, l)],  B⁻¹ the quantile of the beta law, w wins, l losses
    p        = min(1, 2 P(Bin(w + l, 1/2) >= max(w, l)))                 the sign test, two-sided

Clopper & Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26
(1934). It assumes nothing of the values but their order, and so takes runs that diverged or failed: such a run loses.
The price is high at few seeds: 5 wins of 5 have a lower end of .478, 6 of 6 of .541, 8 of 8 of .631.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scipy.special import bdtr, betaincinv

from bakeoff.stats.interval import LEVEL, check_level

MEANINGFUL = 0.75  # Bouthillier et al.'s γ
Improvement = Literal["not significant", "not meaningful", "significant and meaningful"]


@dataclass(frozen=True)
class Wins:
    """Seeds in which the first arm had the larger value, the second, or neither; `level` is of the interval.

    >>> five = Wins(5, 0, 0)
    >>> print(f"{five.share:.0%}, {five.low:.3f} to {five.high:.3f}, p = {five.p}")
    100%, 0.478 to 1.000, p = 0.0625
    """

    wins: int
    losses: int
    ties: int = 0
    level: float = LEVEL

    @property
    def n(self) -> int:
        """Seeds that decide: without the ties."""
        return self.wins + self.losses

    @property
    def share(self) -> float | None:
        """P(A > B) as estimated: None where no seed decides."""
        return self.wins / self.n if self.n else None

    @property
    def low(self) -> float:
        """Lower end of the exact interval of P(A > B)."""
        return binomial_interval(self.wins, self.n, level=self.level)[0]

    @property
    def high(self) -> float:
        """Upper end of the exact interval of P(A > B)."""
        return binomial_interval(self.wins, self.n, level=self.level)[1]

    @property
    def p(self) -> float:
        """Two-sided p-value of the sign test, P(A > B) = 1/2; 1 where no seed decides."""
        return min(1.0, 2 * float(bdtr(min(self.wins, self.losses), self.n, 0.5))) if self.n else 1.0


def binomial_interval(successes: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Clopper-Pearson interval of a probability after `successes` of `n`: 0 to 1 at n = 0.

    >>> low, high = binomial_interval(6, 6)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.541 to 1.000

    Raises:
        ValueError: `successes` is not between 0 and `n`, or `level` not in (0, 1).

    """
    check_level(level)
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, got {successes} of {n}")
    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def count_wins(first: Mapping[int, float | None], second: Mapping[int, float | None], *, level: float = LEVEL) -> Wins:
    """Wins of `first` over `second`, both seed -> value, over the seeds that they share. None is a bad end: it loses.

    Equal values tie, and so do two bad ends.

    >>> count_wins({0: 0.91, 1: 0.93, 2: None, 3: 0.9}, {0: 0.90, 1: 0.93, 2: 0.88, 4: 0.99})
    Wins(wins=1, losses=1, ties=1, level=0.95)

    Raises:
        ValueError: a value is not finite.

    """
    signs = [outcome(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    return Wins(signs.count(1), signs.count(-1), signs.count(0), level)


def outcome(first: float | None, second: float | None) -> int:
    """1 where the first is the larger, -1 where the second is, 0 where they are equal; None is less than any number."""
    a, b = (-math.inf if value is None else float(value) for value in (first, second))
    for given, value in ((first, a), (second, b)):
        if given is not None and not math.isfinite(value):
            raise ValueError(f"values must be finite, got {value}: give a diverged run as None")
    return (a > b) - (a < b)


def improvement(wins: Wins, *, gamma: float = MEANINGFUL) -> Improvement:
    """Bouthillier et al.'s criterion: significant where low > 1/2, and meaningful where high > γ too.

    Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks", MLSys 2021, recommend γ = .75. They
    take the interval from a percentile bootstrap; ours is exact.

    >>> improvement(Wins(9, 1)), improvement(Wins(5, 0)), improvement(Wins(600, 400))
    ('significant and meaningful', 'not significant', 'not meaningful')

    Raises:
        ValueError: γ is not in (1/2, 1).

    """
    if not 0.5 < gamma < 1:
        raise ValueError(f"gamma must be in (0.5, 1), got {gamma}")
    if wins.low <= 0.5:
        return "not significant"
    return "significant and meaningful" if wins.high > gamma else "not meaningful"

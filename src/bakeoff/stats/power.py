"""What so many seeds can show, and how many a difference takes: before it is looked for, never after.

    power(δ, n) = P(|T'_{n-1}(δ √n)| > t(n-1, 1 - α/2)),    T'_ν(μ) = (Z + μ) / W,  Z normal, W = √(χ²_ν / ν)

T' the noncentral t law, δ the true difference in units of s, the standard deviation over seeds of the paired
difference: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988). 80% power is reached at δ = 3.26
with 3 seeds, 1.68 with 5, 1.00 with 10 and .66 with 20.

The difference is one that would matter (a margin), or unknown. There is no power of the difference that was seen: it is
the p-value in other words, and says nothing more (Hoenig & Heisey, "The Abuse of Power", American Statistician 55,
2001). All of it is for one comparison; for m of them give level = 1 - α/m.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import gammaincinv, ndtr, stdtrit

from bakeoff.stats.interval import LEVEL, check_level

POWER = 0.8
_MAX_SEEDS = 1 << 20
_MAX_DIFFERENCE = 1e4  # in s
_SHARES = 4096


def paired_t_power(difference: float, n: int, *, level: float = LEVEL) -> float:
    """Probability that the paired t test finds a true difference, given in s, with n seeds.

    >>> round(paired_t_power(1.0, 10), 3)
    0.803

    Raises:
        ValueError: n < 2, the difference is not a number >= 0, or `level` not in (0, 1).

    """
    check_level(level)
    if n < 2:
        raise ValueError(f"n must be >= 2, got {n}: one seed has no spread")
    if not difference >= 0:
        raise ValueError(f"difference must be >= 0, in units of s, got {difference}")
    shift, critical = difference * math.sqrt(n), float(stdtrit(n - 1, (1 + level) / 2))
    bound = critical * _spreads(n - 1)
    return float(np.mean(ndtr(shift - bound) + ndtr(-bound - shift)))


@lru_cache
def _spreads(freedom: int) -> np.ndarray:
    """W at the middles of equal shares of its law; scipy.special's nctdtr is NaN or wrong where a tail is small."""
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    return np.asarray(np.sqrt(2 * gammaincinv(freedom / 2, shares) / freedom))


def detectable_difference(n: int, *, power: float = POWER, level: float = LEVEL) -> float:
    """The difference, in s, that n seeds find with the probability `power`.

    >>> [round(detectable_difference(n), 2) for n in (3, 5, 10, 20)]
    [3.26, 1.68, 1.0, 0.66]

    Raises:
        ValueError: n < 2, or `power` is not between 1 - `level` and 1.

    """
    _check_power(power, level)
    low, high = 0.0, 1.0
    while paired_t_power(high, n, level=level) < power and high < _MAX_DIFFERENCE:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if paired_t_power(middle, n, level=level) < power else (low, middle)
    return high


def seeds_needed(margin: float, s: float, *, power: float = POWER, level: float = LEVEL) -> int:
    """Seeds that find a true difference of `margin` with the probability `power`, where differences have spread `s`.

    `s` is itself estimated: from 3 seeds it is known to a factor of about 2 to 6, so take the number as a guide.

    >>> seeds_needed(0.5, s=0.5), seeds_needed(0.5, s=0.4)
    (10, 8)

    Raises:
        ValueError: `margin` or `s` is not above 0, or over a million seeds are needed.

    """
    _check_power(power, level)
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}: the least difference that matters, chosen beforehand")
    if not s > 0:
        raise ValueError(f"s must be > 0, got {s}: differences alike for every seed say nothing of more seeds")
    difference, high = margin / s, 2
    while paired_t_power(difference, high, level=level) < power:
        high *= 2
        if high > _MAX_SEEDS:
            raise ValueError(f"a difference of {margin:g} with s = {s:g} needs over {_MAX_SEEDS:,} seeds")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if paired_t_power(difference, middle, level=level) < power else (low, middle)
    return high


def _check_power(power: float, level: float) -> None:
    check_level(level)
    if not 1 - level < power < 1:
        raise ValueError(f"power must be between {1 - level:g} and 1, got {power}")

"""How many runs it takes to see P(A > B) = γ: of separate runs, and of pairs that share a seed.

    unpaired  N = (z_α + z_β)² / (6 (γ - 1/2)²)    runs of each arm, z the quantiles of the normal law
    paired    the least n from which on the exact sign test has power 1 - β

    P(A > B) = (1 / nm) Σ_i Σ_j [a_i > b_j] + [a_i = b_j] / 2       unpaired: Mann & Whitney's U / nm

Noether, "Sample Size Determination for Some Common Nonparametric Tests", JASA 82 (1987), one-sided at α = .05, as
Bouthillier et al., MLSys 2021, use it: γ = .75 gives 29 at β = .05 and 17 at β = .2. It is an approximation for a rank
test of separate runs. The sign test of pairs, two-sided, takes 54 and 35: it uses no values, and its power goes up and
down with n (49 and 30 pairs reach it too, 53 and 34 don't).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrc, ndtri

from bakeoff.stats.interval import LEVEL, check_level


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """P(A > B) from runs (n,) and (m,) that share nothing; ties count half. For runs paired by seed: `count_wins`.

    >>> probability_of_improvement([0.91, 0.93, 0.95], [0.90, 0.93])
    0.75

    Raises:
        ValueError: an arm has no values, or one is NaN.

    """
    a, b = np.asarray(first, dtype=float).ravel(), np.asarray(second, dtype=float).ravel()
    if not a.size or not b.size or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("each arm must have values, and none NaN: give a diverged run as -inf")
    return float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))


def noether_sample_size(gamma: float, *, alpha: float = 0.05, beta: float = 0.05) -> int:
    """Runs of each arm, of separate seeds, for Mann & Whitney's test, one-sided.

    >>> noether_sample_size(0.75), noether_sample_size(0.75, beta=0.2)
    (29, 17)

    Raises:
        ValueError: γ is 1/2 or not in (0, 1), or α or β not in (0, 1/2).

    """
    _check(gamma, alpha, beta)
    return math.ceil(float(ndtri(alpha) + ndtri(beta)) ** 2 / (6 * (gamma - 0.5) ** 2) - 1e-9)


def sign_test_power(gamma: float, n: int, *, level: float = LEVEL) -> float:
    """Probability that the two-sided sign test of n pairs finds P(A > B) = γ.

    >>> round(sign_test_power(0.75, 54), 3), sign_test_power(0.99, 5)
    (0.967, 0.0)

    Raises:
        ValueError: `level` is not in (0, 1).

    """
    check_level(level)
    losses = np.arange(n // 2 + 1)
    significant = losses[2 * bdtr(losses, n, 0.5) <= 1 - level + 1e-12]
    if not significant.size:
        return 0.0
    most = int(significant[-1])  # losses that the test still calls different
    return float(bdtr(most, n, 1 - gamma) + bdtrc(n - most - 1, n, 1 - gamma))


def pairs_needed(gamma: float, *, beta: float = 0.05, level: float = LEVEL) -> int:
    """The least number of pairs from which on the exact sign test, two-sided, has power 1 - β.

    >>> pairs_needed(0.75), pairs_needed(0.75, beta=0.2)
    (54, 35)

    Raises:
        ValueError: γ is 1/2 or not in (0, 1), `level` not in (0, 1), or β not in (0, 1/2).

    """
    _check(gamma, (1 - level) / 2, beta)
    z = float(ndtri((1 - level) / 2)) / 2 + float(ndtri(beta)) * math.sqrt(gamma * (1 - gamma))
    about = (z / (gamma - 0.5)) ** 2  # by the normal law; the exact number is less than half as much again and 30 more
    n = math.ceil(1.5 * about + 30)
    while sign_test_power(gamma, n, level=level) >= 1 - beta:
        n -= 1
    return n + 1


def _check(gamma: float, alpha: float, beta: float) -> None:
    if not 0 < gamma < 1 or gamma == 0.5:
        raise ValueError(f"gamma must be in (0, 1) and not 0.5, got {gamma}")
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value < 0.5:
            raise ValueError(f"{name} must be in (0, 0.5), got {value}")

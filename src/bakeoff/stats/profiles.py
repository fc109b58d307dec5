"""Performance profiles: how often a method is within a factor of the fastest, over several workloads.

    r_mw  = t_mw / min_m t_mw                           t the time to the target, ∞ where it was missed
    ρ(τ)  = (1/n) #{w : r_w <= τ}                       the profile, n workloads
    B     = 1/(r_max - 1) ∫_1^r_max ρ(τ) dτ = Σ_w max(0, r_max - r_w) / (n (r_max - 1))

Dolan & Moré, "Benchmarking Optimization Software with Performance Profiles", Mathematical Programming 91 (2002). B is
the score of Dahl et al., "Benchmarking Neural Network Training Algorithms" (AlgoPerf, 2023), with r_max = 4; their code
takes the integral by the trapezoid rule over 100 points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

R_MAX = 4.0  # AlgoPerf's
POINTS = 100


def performance_ratios(times: ArrayLike) -> np.ndarray:
    """Times to the target (methods, workloads), ∞ for a miss, to their ratios to the fastest method of each workload.

    >>> performance_ratios([[100, 300, float("inf")], [150, 200, float("inf")]]).tolist()
    [[1.0, 1.5, inf], [1.5, 1.0, inf]]

    Raises:
        ValueError: a time is not above 0.

    """
    t = np.atleast_2d(np.asarray(times, dtype=float))
    if not (t > 0).all():
        raise ValueError("times must be > 0: give a missed target as infinity")
    fastest = t.min(axis=0)
    return np.where(np.isfinite(t), t / np.where(np.isfinite(fastest), fastest, 1.0), np.inf)


def performance_profile(ratios: ArrayLike, taus: ArrayLike) -> np.ndarray:
    """ρ(τ) of one method: its ratios (workloads,) at `taus` (P,), to (P,).

    >>> performance_profile([1, 1.5, 4.2, 2], [1, 2, 4, 5]).tolist()
    [0.25, 0.75, 0.75, 1.0]

    Raises:
        ValueError: there are no ratios, or one is below 1.

    """
    return np.asarray((_ratios(ratios)[:, None] <= np.asarray(taus, dtype=float)).mean(axis=0))


def algoperf_score(ratios: ArrayLike, *, r_max: float = R_MAX) -> float:
    """B in closed form: 1 where a method is the fastest everywhere, 0 where it is never within `r_max`.

    >>> algoperf_score([1, 1.5, 4.2, 2])
    0.625

    Raises:
        ValueError: there are no ratios, one is below 1, or `r_max` is not above 1.

    """
    return float(np.maximum(0, _r_max(r_max) - _ratios(ratios)).mean() / (r_max - 1))


def algoperf_score_on_grid(ratios: ArrayLike, *, r_max: float = R_MAX, points: int = POINTS) -> float:
    """B as AlgoPerf's code has it: the trapezoid rule over `points` equal steps of τ. Off by half a step at most.

    >>> round(algoperf_score_on_grid([1, 1.5, 4.2, 2]), 4)
    0.6263

    Raises:
        ValueError: as `algoperf_score`.

    """
    taus = np.linspace(1, _r_max(r_max), points)
    rho = performance_profile(ratios, taus)
    return float((rho[1:] + rho[:-1]).sum() / (2 * (points - 1)))


def _ratios(ratios: ArrayLike) -> np.ndarray:
    r = np.asarray(ratios, dtype=float)
    if not r.size or not (r >= 1).all():
        raise ValueError("ratios must be >= 1, the fastest method having 1")
    return r


def _r_max(r_max: float) -> float:
    if not r_max > 1:
        raise ValueError(f"r_max must be > 1, got {r_max}")
    return r_max

"""Tests by sign flips: were the arms equal, each seed's differences could as well have had the other sign.

    t_k      = mean(D_k) √n_k / s_k                          of each of several comparisons k, D_ks the differences
    t*_k(σ)  = the same of σ_s D_ks,   σ_s = ±1              one sign a seed, for all comparisons alike
    p_k      = share of the σ with max_{l ≥ k} |t*_l(σ)| >= |t_k|,   |t_1| >= |t_2| >= ...,   p_k >= p_{k-1}

Fisher, "The Design of Experiments" (1935), section 21. Maximum over the comparisons, stepping down: Westfall & Young,
"Resampling-Based Multiple Testing" (1993), algorithm 4.1; Romano & Wolf, JASA 100 (2005). One sign a seed keeps the
comparisons as dependent as they are. Exact whatever the law of the differences, provided that it is symmetric about 0
where arms are equal. p is never below 2^(1-n): .0625 at 5 seeds, so that nothing can be called different there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

MAX_ENUMERATED = 12  # seeds: 2,048 flips
DRAWN = 4096  # flips of more seeds than that, the identity among them
_BLOCK = 1 << 21  # numbers held at once
_TIE = 1 - 1e-6  # flips that differ from what was seen by rounding alone count as equal to it


class FlipTest(NamedTuple):
    """p-values (K,): of each comparison for itself, and corrected for all of them.

    >>> max_t_test(np.array([[1.0, 3], [2, -1], [3, 2]])).alone.tolist()
    [0.25, 0.5]
    """

    alone: np.ndarray
    corrected: np.ndarray


def sign_flip_test(differences: Iterable[float], *, generator: np.random.Generator | None = None) -> float:
    """Two-sided p-value of one comparison by sign flips of its t; 1 without differences.

    >>> sign_flip_test([0.01, 0.02, 0.015, 0.01, 0.03])  # 5 of 5 seeds
    0.0625

    Args:
        differences: one a seed.
        generator: draws 4,096 flips above 12 seeds; up to 12 all are counted.

    Raises:
        ValueError: a difference is not finite, or there are over 12 and no generator.

    """
    column = np.array([float(x) for x in differences])[:, None]
    if not np.isfinite(column).all():
        raise ValueError("differences must be finite: leave diverged runs out and count them instead")
    return float(max_t_test(column, generator=generator).alone[0]) if len(column) else 1.0


def max_t_test(differences: np.ndarray, *, generator: np.random.Generator | None = None) -> FlipTest:
    """p-values of several comparisons: differences (n, K), n seeds of K comparisons.

    NaN where a comparison lacks a seed.

    >>> seeds = np.array([[3.0, 1], [4, -1], [2, 2], [3, -2], [4, 3], [5, 1], [3, 1], [2, -1]])
    >>> max_t_test(seeds).corrected.tolist()  # the first would have 2 / 2^8 alone too
    [0.0078125, 0.546875]

    Raises:
        ValueError: there are over 12 seeds and no generator.

    """
    flips = sign_flips(len(differences), generator)
    sizes = np.isfinite(differences).sum(axis=0)
    filled = np.where(np.isfinite(differences), differences, 0.0)
    squares = np.square(filled).sum(axis=0)
    seen = _abs_t(flips[:1], filled, squares, sizes)[0]
    order = np.argsort(-seen, kind="stable")
    filled, squares, sizes, seen = filled[:, order], squares[order], sizes[order], seen[order]
    alone, exceeding = np.zeros((2, len(seen)))
    for rows in np.array_split(flips, -(-len(flips) * len(seen) // _BLOCK) or 1):
        flipped = _abs_t(rows, filled, squares, sizes)
        greatest_of_the_rest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]
        alone += (flipped >= seen * _TIE).sum(axis=0)
        exceeding += (greatest_of_the_rest >= seen * _TIE).sum(axis=0)
    unsorted = np.argsort(order)
    return FlipTest((alone / len(flips))[unsorted], np.maximum.accumulate(exceeding / len(flips))[unsorted])


def _abs_t(flips: np.ndarray, filled: np.ndarray, squares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """|t| of each flip and comparison. Flips leave Σ D² as it is: with q = (Σ D)² / (n Σ D²), t² = (n-1) q / (1-q)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.nan_to_num(np.square(flips @ filled) / (sizes * squares))
    # equal differences have q = 1 and an infinite t: the bound keeps it a number, above all others
    return np.asarray(np.sqrt(np.maximum(sizes - 1, 0) * q / np.maximum(1 - q, 1e-12)))


def sign_flips(n: int, generator: np.random.Generator | None = None) -> np.ndarray:
    """Signs (flips, n), the identity first. The first seed keeps its sign: |t| is the same with all signs turned.

    >>> sign_flips(3).astype(int).tolist()
    [[1, 1, 1], [1, 1, -1], [1, -1, 1], [1, -1, -1]]

    Raises:
        ValueError: there are over 12 seeds and no generator.

    """
    if n <= MAX_ENUMERATED:
        return _all_flips(n)
    if generator is None:
        raise ValueError(f"{n} seeds have {2 ** (n - 1):,} sign flips: give a generator, which draws {DRAWN:,} of them")
    drawn = np.where(generator.random((DRAWN, n)) < 0.5, 1.0, -1.0)
    drawn[0] = 1.0  # counting what was seen keeps the test exact
    return drawn


@lru_cache
def _all_flips(n: int) -> np.ndarray:
    numbers = np.arange(2 ** max(n - 1, 0))[:, None]
    flips = np.where(numbers >> np.arange(n - 1, -1, -1) & 1, -1.0, 1.0)
    flips.setflags(write=False)
    return flips

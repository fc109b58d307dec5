"""Sign flips against a plain count of all of them, and SciPy's permutation test."""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from bakeoff.stats import max_t_test, sign_flip_test, sign_flips
from bakeoff.stats.flips import DRAWN


def plain_t(columns):
    n = np.isfinite(columns).sum(axis=0)
    return np.abs(np.nanmean(columns, axis=0)) / np.sqrt(np.nanvar(columns, axis=0, ddof=1) / n)


def plain_step_down(differences):
    """Westfall & Young's algorithm, word for word, over all 2^n flips."""
    seen = plain_t(differences)
    order = np.argsort(-seen)
    flips = [
        plain_t(np.array(signs)[:, None] * differences) for signs in itertools.product([1, -1], repeat=len(differences))
    ]
    p, before = np.empty(len(seen)), 0.0
    for place, k in enumerate(order):
        rest = order[place:]
        share = np.mean([flip[rest].max() >= seen[k] * (1 - 1e-9) for flip in flips])
        p[k] = before = max(before, share)
    return p


def test_each_comparison_for_itself():
    differences = np.random.default_rng(5).normal(0.5, 1, (8, 4))
    assert max_t_test(differences).alone.tolist() == [sign_flip_test(column) for column in differences.T]


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("comparisons", [1, 2, 7])
def test_it_is_westfall_and_youngs_step_down(n, comparisons):
    rng = np.random.default_rng(n * 10 + comparisons)
    differences = rng.normal(size=(n, comparisons)) + rng.normal(size=(n, 1)) + np.linspace(0, 2, comparisons)
    np.testing.assert_allclose(max_t_test(differences).corrected, plain_step_down(differences), rtol=1e-12)


def test_with_missing_seeds_t_counts_those_that_are_there():
    for seed in range(20):
        differences = np.random.default_rng(seed).normal(size=(8, 3)) + 0.7
        differences[4:, 1] = differences[6:, 2] = np.nan
        np.testing.assert_allclose(max_t_test(differences).corrected, plain_step_down(differences), rtol=1e-12)


@pytest.mark.parametrize("n", [3, 6, 10])
def test_one_comparison_agrees_with_scipy(n):
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    theirs = permutation_test(
        (differences,), lambda x, axis: np.abs(x.mean(axis=axis)), permutation_type="samples", alternative="greater"
    )
    assert sign_flip_test(differences) == pytest.approx(theirs.pvalue)


def test_five_seeds_cannot_reach_five_percent():
    assert sign_flip_test([1.0, 1.1, 1.2, 1.3, 1.4]) == 2 / 2**5
    assert sign_flip_test([1.0] * 6) == 2 / 2**6


def test_equal_differences_rounded_differently_count_as_equal():
    differences = np.array([0.1 + 0.2, 0.3, 0.15 + 0.15, 0.3, 0.6 / 2, 0.3, 0.3, 0.1 * 3])
    assert max_t_test(differences[:, None]).corrected.tolist() == [2 / 2**8]


def test_no_difference_at_all():
    assert max_t_test(np.zeros((8, 3))).corrected.tolist() == [1, 1, 1]
    assert sign_flip_test([]) == sign_flip_test([1.0]) == 1


def test_a_comparison_may_lack_a_seed():
    rng = np.random.default_rng(3)
    differences = rng.normal(size=(9, 2)) + 1
    missing = differences.copy()
    missing[8, 1] = np.nan
    alone = [sign_flip_test(differences[:, 0]), sign_flip_test(differences[:8, 1])]
    assert max_t_test(missing[:, :1]).corrected.tolist() == [alone[0]]
    assert max_t_test(missing[:, 1:]).corrected.tolist() == [pytest.approx(alone[1])]
    assert all(max_t_test(missing).corrected >= np.array(alone) - 1e-12)


def test_many_comparisons_in_blocks_are_the_same(monkeypatch):
    differences = np.random.default_rng(0).normal(size=(9, 40))
    whole = max_t_test(differences).corrected
    monkeypatch.setattr("bakeoff.stats.flips._BLOCK", 1000)
    assert max_t_test(differences).corrected.tolist() == whole.tolist()


def test_above_twelve_seeds_flips_are_drawn_from_the_generator_given():
    differences = np.random.default_rng(0).normal(0.6, 1, (14, 3))
    with pytest.raises(ValueError, match="14 seeds have 8,192 sign flips: give a generator, which draws 4,096"):
        max_t_test(differences)
    drawn = [max_t_test(differences, generator=np.random.default_rng(seed)).corrected for seed in (0, 0, 1)]
    assert drawn[0].tolist() == drawn[1].tolist()
    np.testing.assert_allclose(drawn[0], drawn[2], atol=0.04)
    assert sign_flips(13, np.random.default_rng(0)).shape == (DRAWN, 13)
    assert (sign_flips(13, np.random.default_rng(0))[0] == 1).all()


def test_all_flips_are_there_once():
    flips = sign_flips(10)
    assert len({tuple(row) for row in flips}) == 512
    assert (flips[:, 0] == 1).all()


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        sign_flip_test([1.0, float("inf")])

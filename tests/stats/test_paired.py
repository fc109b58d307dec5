"""Paired differences and their t test against SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_rel

from bakeoff.stats import mean_interval, paired_difference, paired_t_test, too_close_to_call

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
VALUES = st.lists(NUMBERS, min_size=1, max_size=8)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8)
ACCURACIES = {0: 0.91, 1: 0.93, 2: 0.90}


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_paired_difference_agrees_with_scipy(n):
    first, second = np.random.default_rng(n).normal(0.9, 0.02, (2, n))
    ours = paired_difference(by_seed(first), by_seed(second))
    theirs = ttest_rel(first, second)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert too_close_to_call(by_seed(first), by_seed(second)) == (theirs.pvalue > 0.05)


@pytest.mark.parametrize("seed", range(20))
def test_too_close_is_the_t_test_not_rejecting(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.90, 0.01, 4), rng.normal(0.92, 0.01, 4)
    assert too_close_to_call(by_seed(first), by_seed(second)) == (ttest_rel(first, second).pvalue >= 0.05)


def test_pairing_removes_what_a_seed_does_to_both():
    second = {seed: value - 0.01 + 0.0001 * seed for seed, value in ACCURACIES.items()}
    separate = mean_interval(ACCURACIES.values())
    assert separate.low < mean_interval(second.values()).mean < separate.high
    assert not too_close_to_call(ACCURACIES, second)


def test_only_shared_seeds_are_paired():
    other = {2: 0.80, 1: 0.84, 7: 0.1}
    difference = paired_difference(ACCURACIES, other)
    assert (difference.mean, difference.n) == (pytest.approx((0.09 + 0.10) / 2), 2)


def test_no_shared_seed_gives_no_difference_and_is_too_close():
    assert paired_difference({0: 1.0}, {1: 2.0}) is None
    assert too_close_to_call({0: 1.0}, {1: 2.0})


def test_one_shared_seed_is_too_close_however_far_apart():
    assert too_close_to_call({0: 0.99, 1: 0.98}, {0: 0.10, 2: 0.2})


@drawn
@given(PAIRS)
def test_swapping_the_arms_negates_the_difference_and_keeps_the_call(pairs):
    first, second = (by_seed(values) for values in zip(*pairs, strict=True))
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)
    assert too_close_to_call(first, second) == too_close_to_call(second, first)


@drawn
@given(PAIRS, st.integers(1, 100))
def test_renaming_the_seeds_changes_nothing(pairs, offset):
    first, second = (by_seed(values) for values in zip(*pairs, strict=True))
    renamed = ({seed + offset: value for seed, value in arm.items()} for arm in (first, second))
    assert paired_difference(*renamed) == paired_difference(first, second)


@drawn
@given(VALUES)
def test_an_arm_is_too_close_to_itself(values):
    assert too_close_to_call(by_seed(values), by_seed(values))


@drawn
@given(st.lists(NUMBERS, min_size=2, max_size=8))
def test_the_t_test_agrees_with_scipy(differences):
    spread = np.std(differences, ddof=1)
    if spread > 1e-3 * abs(np.mean(differences)) and spread > 1e-6:
        assert paired_t_test(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_differences_without_spread_are_as_sure_as_equal_signs(n):
    assert paired_t_test([0.01] * n) == 2 * 0.5**n
    assert paired_t_test(np.full(n, 0.9, np.float32) - np.float32(0.89)) == 2 * 0.5**n
    assert paired_t_test([0.0] * n) == 1


def test_one_difference_and_none_decide_nothing():
    assert paired_t_test([]) == paired_t_test([3.0]) == 1
    with pytest.raises(ValueError, match="finite"):
        paired_t_test([1.0, math.nan])


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("spread", [0.3, 0.7, 1.0, 2.0, 5.0])
def test_a_metric_in_coarse_steps_makes_nothing_surer(n, spread):
    """Arms alike, whose values are counts: by how many steps a seed moves them, a share of one or several."""
    generator = np.random.default_rng(0)
    counts = np.round(generator.normal(10.3, spread, (2, 1500, n)))
    called = [paired_t_test(first - second) <= 0.05 for first, second in zip(*counts, strict=True)]
    assert np.mean(called) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)

"""Intervals against SciPy, closed forms, and counts of every resample."""

import doctest
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import bootstrap, ttest_1samp, ttest_rel

from bakeoff import stats
from bakeoff.stats import bootstrap_interval, mean_interval, paired_difference, too_close_to_call

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
VALUES = st.lists(NUMBERS, min_size=1, max_size=8)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8)
ACCURACIES = {0: 0.91, 1: 0.93, 2: 0.90}


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_interval_agrees_with_scipy(n, level):
    values = np.random.default_rng(n).normal(0.9, 0.02, n)
    ours = mean_interval(values, level=level)
    theirs = ttest_1samp(values, 0).confidence_interval(level)
    assert (ours.mean, ours.n) == (pytest.approx(values.mean()), n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_interval_from_a_table_of_t():
    # t(2, 0.975) = 4.303 in any printed table; the values 1, 2, 3 have s = 1
    estimate = mean_interval([1, 2, 3])
    assert estimate.half_width == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.0, 1.0, (2000, 3))
    inside = sum(e.low <= 0 <= e.high for e in map(mean_interval, draws))
    assert 0.935 < inside / 2000 < 0.965  # 3 standard errors are 0.015


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


def test_one_value_has_a_mean_and_no_interval():
    estimate = mean_interval([0.9])
    assert (estimate.mean, estimate.low, estimate.high, estimate.half_width, estimate.n) == (
        0.9,
        None,
        None,
        None,
        1,
    )


def test_no_shared_seed_gives_no_difference_and_is_too_close():
    assert paired_difference({0: 1.0}, {1: 2.0}) is None
    assert too_close_to_call({0: 1.0}, {1: 2.0})


def test_one_shared_seed_is_too_close_however_far_apart():
    assert too_close_to_call({0: 0.99, 1: 0.98}, {0: 0.10, 2: 0.2})


def test_zero_variance():
    assert (mean_interval([0.1] * 3).low, mean_interval([0.1] * 3).high) == (0.1, 0.1)
    assert too_close_to_call({0: 0.5, 1: 0.7}, {0: 0.5, 1: 0.7})
    assert not too_close_to_call({0: 0.5, 1: 0.75}, {0: 0.25, 1: 0.5})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_value_is_refused(bad):
    with pytest.raises(ValueError, match=f"must be finite, got {bad}"):
        mean_interval([0.9, bad])
    with pytest.raises(ValueError, match="must be finite"):
        paired_difference({0: 0.9, 1: bad}, {0: 0.9})
    with pytest.raises(ValueError, match="must be finite"):
        too_close_to_call({0: 0.9}, {0: 0.9, 1: bad})


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="at least 1 number, got none"):
        mean_interval([])


@pytest.mark.parametrize("level", [0, 1, -0.5, math.nan])
def test_level_is_checked(level):
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)"):
        mean_interval([1, 2], level=level)


@given(VALUES)
def test_interval_brackets_the_mean(values):
    estimate = mean_interval(values)
    assert min(values) <= estimate.mean <= max(values)
    if len(values) > 1:
        assert estimate.low <= estimate.mean <= estimate.high


@given(VALUES, st.integers(-1000, 1000))
def test_shifting_the_values_shifts_the_interval(values, shift):
    assume(len(values) > 1)
    before, after = mean_interval(values), mean_interval([v + shift for v in values])
    for name in ("mean", "low", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) + shift, rel=1e-9, abs=1e-6)


@given(VALUES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_the_values_scales_the_interval(values, scale):
    assume(len(values) > 1)
    before, after = mean_interval(values), mean_interval([v * scale for v in values])
    assert after.mean == pytest.approx(before.mean * scale, rel=1e-12)
    assert after.half_width == pytest.approx(before.half_width * scale, rel=1e-9, abs=1e-9)


@given(VALUES, st.randoms())
def test_order_of_the_values_changes_nothing(values, random):
    shuffled = random.sample(values, len(values))
    assert mean_interval(shuffled) == mean_interval(values)


@given(VALUES)
def test_mean_is_exact(values):
    assert mean_interval(values).mean == float(sum(map(Fraction, values)) / len(values))


@given(st.lists(NUMBERS, min_size=2, max_size=8))
def test_higher_level_is_wider(values):
    narrow, wide = mean_interval(values, level=0.8), mean_interval(values, level=0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(PAIRS)
def test_swapping_the_arms_negates_the_difference_and_keeps_the_call(pairs):
    first, second = (by_seed(values) for values in zip(*pairs, strict=True))
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)
    assert too_close_to_call(first, second) == too_close_to_call(second, first)


@given(PAIRS, st.integers(1, 100))
def test_renaming_the_seeds_changes_nothing(pairs, offset):
    first, second = (by_seed(values) for values in zip(*pairs, strict=True))
    renamed = ({seed + offset: value for seed, value in arm.items()} for arm in (first, second))
    assert paired_difference(*renamed) == paired_difference(first, second)


@given(VALUES)
def test_an_arm_is_too_close_to_itself(values):
    assert too_close_to_call(by_seed(values), by_seed(values))


def every_resample(values, level):
    """Low and high by drawing in all n^n orders, in fractions."""
    means = sorted(sum(draw) / len(draw) for draw in itertools.product(map(Fraction, values), repeat=len(values)))
    ranks = (Fraction(1) - Fraction(level)) / 2 * len(means), (Fraction(1) + Fraction(level)) / 2 * len(means)
    return tuple(float(means[max(1, math.ceil(rank)) - 1]) for rank in ranks)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_bootstrap_counts_every_resample(n, level):
    values = np.random.default_rng(n).integers(0, 7, (n, 5)).astype(float)  # with ties
    low, high = bootstrap_interval(values, level=level)
    expected = [every_resample(column, level) for column in values.T]
    np.testing.assert_allclose(np.stack([low, high], axis=1), expected, rtol=1e-12, atol=1e-12)


def test_bootstrap_of_many_values_agrees_with_scipy():
    values = np.random.default_rng(0).normal(0.9, 0.02, (12, 1))
    (low,), (high,) = bootstrap_interval(values)
    theirs = bootstrap((values[:, 0],), np.mean, n_resamples=20000, method="percentile", rng=1).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.001)  # 2,000 resamples of a spread of 0.02


def test_bootstrap_of_three_seeds_is_their_range():
    low, high = bootstrap_interval(np.array([[0.9, 1.0], [0.7, 2.0], [0.8, 4.0]]))
    assert (low.tolist(), high.tolist()) == ([0.7, 1.0], [0.9, 4.0])


@given(st.lists(NUMBERS, min_size=2, max_size=9), st.randoms())
def test_bootstrap_brackets_the_mean_and_never_leaves_the_values(values, random):
    low, high = (float(end[0]) for end in bootstrap_interval(np.array(values)[:, None]))
    slack = 1e-9 * max(map(abs, values))
    assert min(values) <= low <= np.mean(values) + slack
    assert np.mean(values) - slack <= high <= max(values)
    if len(values) <= 6:
        shuffled = np.array(random.sample(values, len(values)))[:, None]
        again = [float(end[0]) for end in bootstrap_interval(shuffled)]
        assert again == pytest.approx([low, high], rel=1e-9, abs=1e-9)


def test_bootstrap_refuses_one_value_and_what_is_not_finite():
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_interval(np.ones((1, 3)))
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(np.array([[1.0], [math.nan]]))


def test_every_public_name_has_an_example_that_runs():
    examples = {test.name: test for test in doctest.DocTestFinder().find(stats, "stats")}
    for name in stats.__all__:
        assert examples[f"stats.{name}"].examples, name
    assert doctest.testmod(stats).failed == 0

"""Student t intervals against SciPy, tables and exact sums."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from bakeoff.stats import mean_interval, paired_difference, too_close_to_call

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
VALUES = st.lists(NUMBERS, min_size=1, max_size=8)


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


def test_one_value_has_a_mean_and_no_interval():
    estimate = mean_interval([0.9])
    assert (estimate.mean, estimate.low, estimate.high, estimate.half_width, estimate.n) == (
        0.9,
        None,
        None,
        None,
        1,
    )


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


@drawn
@given(VALUES)
def test_interval_brackets_the_mean(values):
    estimate = mean_interval(values)
    assert min(values) <= estimate.mean <= max(values)
    if len(values) > 1:
        assert estimate.low <= estimate.mean <= estimate.high


@drawn
@given(VALUES, st.integers(-1000, 1000))
def test_shifting_the_values_shifts_the_interval(values, shift):
    assume(len(values) > 1)
    before, after = mean_interval(values), mean_interval([v + shift for v in values])
    for name in ("mean", "low", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) + shift, rel=1e-9, abs=1e-6)


@drawn
@given(VALUES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_the_values_scales_the_interval(values, scale):
    assume(len(values) > 1)
    before, after = mean_interval(values), mean_interval([v * scale for v in values])
    assert after.mean == pytest.approx(before.mean * scale, rel=1e-12)
    assert after.half_width == pytest.approx(before.half_width * scale, rel=1e-9, abs=1e-9)


@drawn
@given(VALUES, st.randoms())
def test_order_of_the_values_changes_nothing(values, random):
    shuffled = random.sample(values, len(values))
    assert mean_interval(shuffled) == mean_interval(values)


@drawn
@given(VALUES)
def test_mean_is_exact(values):
    assert mean_interval(values).mean == float(sum(map(Fraction, values)) / len(values))


@drawn
@given(st.lists(NUMBERS, min_size=2, max_size=8))
def test_higher_level_is_wider(values):
    narrow, wide = mean_interval(values, level=0.8), mean_interval(values, level=0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_an_interval_is_cut_to_the_range_of_the_metric():
    cut = mean_interval([0.949, 0.98, 0.999], within=(0, 1))
    whole = mean_interval([0.949, 0.98, 0.999])
    assert whole.high > 1
    assert (cut.mean, cut.low, cut.high) == (whole.mean, whole.low, 1.0)


def test_cutting_changes_no_coverage():
    # every true mean lies in the range, so what is cut off never held one
    accuracies = np.random.default_rng(1).beta(60, 2, (2000, 3))
    truth = 60 / 62
    cut = [mean_interval(row, within=(0, 1)) for row in accuracies]
    whole = [mean_interval(row) for row in accuracies]
    assert [e.low <= truth <= e.high for e in cut] == [e.low <= truth <= e.high for e in whole]
    assert sum(e.high == 1 for e in cut) > 500


def test_a_value_outside_the_range_is_refused():
    with pytest.raises(ValueError, match="within 0 and 1, got 97"):
        mean_interval([97.0, 98.0], within=(0, 1))

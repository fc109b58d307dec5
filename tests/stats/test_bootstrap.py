"""Bootstraps against counts of every resample, SciPy, and the coverage that is claimed."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from bakeoff.stats import bootstrap_interval, interquartile_mean, mean, stratified_bootstrap

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


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


@drawn
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


def test_strata_are_drawn_from_by_themselves():
    # a value of one stratum can never stand in for another's: the mean of two constants is what it is
    low, high = stratified_bootstrap([[1.0] * 3, [2.0] * 3], mean, np.random.default_rng(0))
    assert (low, high) == (1.5, 1.5)


def test_one_stratum_is_the_bootstrap_of_scipy():
    values = np.random.default_rng(0).normal(0.9, 0.02, 12)
    ours = stratified_bootstrap([values], interquartile_mean, np.random.default_rng(1), resamples=20000)
    theirs = bootstrap((values,), interquartile_mean, n_resamples=20000, method="percentile", rng=1)
    interval = theirs.confidence_interval
    assert ours == pytest.approx((interval.low, interval.high), abs=0.001)


def test_the_generator_decides_what_is_drawn():
    strata = [[0.1, 0.4, 0.5], [0.2, 0.9]]
    draw = [stratified_bootstrap(strata, mean, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draw[0] == draw[1]
    assert all(0.1 <= low <= high <= 0.9 for low, high in draw)


@pytest.mark.parametrize("strata", [[[]], [[1.0], [math.inf]]])
def test_a_stratum_without_values_or_with_bad_ones_is_refused(strata):
    with pytest.raises(ValueError, match="finite values"):
        stratified_bootstrap(strata, mean, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "truth", "covered"),
    [("normal", 0, {3: 0.75, 5: 0.84, 10: 0.90}), ("exponential", 1, {3: 0.69, 5: 0.78, 10: 0.85})],
)
def test_it_covers_the_true_mean_less_often_than_it_says(values, truth, covered):
    for n, share in covered.items():
        low, high = bootstrap_interval(getattr(np.random.default_rng(n), values)(size=(n, 4000)))
        inside = float(np.mean((low <= truth) & (truth <= high)))
        assert inside == pytest.approx(share, abs=0.02)  # 3 standard errors

"""Sample sizes for P(A > B): published figures, SciPy's tests, simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, mannwhitneyu, norm

from bakeoff.stats import noether_sample_size, pairs_needed, probability_of_improvement, sign_test_power

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=10)


@drawn
@given(VALUES, VALUES)
def test_the_probability_of_improvement_is_mann_whitneys(first, second):
    # rliable's probability_of_improvement, for one task
    theirs = mannwhitneyu(first, second, alternative="greater").statistic / (len(first) * len(second))
    assert probability_of_improvement(first, second) == pytest.approx(theirs)
    assert probability_of_improvement(second, first) == pytest.approx(1 - theirs)


def test_a_diverged_run_may_be_given_as_the_least():
    assert probability_of_improvement([-math.inf, 1.0], [0.0, 0.5]) == 0.5
    for bad in ([], [math.nan]):
        with pytest.raises(ValueError, match="must have values"):
            probability_of_improvement([1.0], bad)


def test_noethers_sample_size():
    assert (noether_sample_size(0.75), noether_sample_size(0.75, beta=0.2)) == (29, 17)
    assert noether_sample_size(0.25) == 29
    # where the normal approximation holds, that many runs have the power asked for
    n, shift = noether_sample_size(0.75, beta=0.2), math.sqrt(2) * norm.ppf(0.75)
    rng = np.random.default_rng(0)
    p = [mannwhitneyu(rng.normal(shift, 1, n), rng.normal(size=n), alternative="greater").pvalue for _ in range(1000)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.8, abs=0.05)


def test_the_exact_number_of_pairs():
    assert (pairs_needed(0.75), pairs_needed(0.75, beta=0.2)) == (54, 35)
    assert pairs_needed(0.25) == 54


@pytest.mark.parametrize("gamma", [0.6, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("beta", [0.05, 0.2])
def test_from_there_on_the_power_never_falls_short(gamma, beta):
    n = pairs_needed(gamma, beta=beta)
    assert sign_test_power(gamma, n - 1) < 1 - beta
    assert all(sign_test_power(gamma, more) >= 1 - beta for more in range(n, 3 * n + 100))


def test_fewer_pairs_reach_it_and_more_lose_it_again():
    assert [sign_test_power(0.75, n) >= 0.95 for n in (48, 49, 53, 54)] == [False, True, False, True]
    assert [sign_test_power(0.75, n) >= 0.80 for n in (29, 30, 34, 35)] == [False, True, False, True]


@pytest.mark.parametrize("n", [1, 5, 6, 20, 35])
@pytest.mark.parametrize("gamma", [0.5, 0.75, 0.9])
def test_power_by_counting_every_outcome(n, gamma):
    counted = sum(binom.pmf(k, n, gamma) for k in range(n + 1) if binomtest(k, n).pvalue <= 0.05)
    assert sign_test_power(gamma, n) == pytest.approx(counted, abs=1e-12)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, math.nan])
def test_gamma_is_checked(gamma):
    for ask in (noether_sample_size, pairs_needed):
        with pytest.raises(ValueError, match=r"gamma must be in \(0, 1\) and not 0.5"):
            ask(gamma)


def test_the_errors_are_checked():
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 0.5\), got 0"):
        noether_sample_size(0.75, alpha=0)
    with pytest.raises(ValueError, match=r"beta must be in \(0, 0.5\), got 0.7"):
        pairs_needed(0.75, beta=0.7)

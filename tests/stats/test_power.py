"""What seeds can show, against statsmodels' power of the t test, and in simulation."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi, norm, t, ttest_1samp
from statsmodels.stats.power import TTestPower

from bakeoff.stats import detectable_difference, paired_t_power, seeds_needed


@pytest.mark.parametrize(("n", "difference"), [(3, 3.26), (5, 1.68), (10, 1.00), (20, 0.66)])
def test_what_a_number_of_seeds_can_show(n, difference):
    assert detectable_difference(n) == pytest.approx(difference, abs=5e-3)
    assert detectable_difference(n) == pytest.approx(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 50])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.998])
@pytest.mark.parametrize("difference", [0.2, 1.0, 2.5])
def test_power_agrees_with_statsmodels(n, level, difference):
    theirs = TTestPower().power(difference, n, 1 - level)
    if np.isnan(theirs):  # SciPy's noncentral t, where a tail is next to nothing
        theirs = 1.0
    assert paired_t_power(difference, n, level=level) == pytest.approx(theirs, abs=1e-5)


def test_power_is_how_often_the_test_finds_it():
    draws = np.random.default_rng(0).normal(1.68, 1, (5, 4000))
    found = np.mean(ttest_1samp(draws, 0).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.02)


def test_no_difference_is_found_as_often_as_the_level_says():
    assert paired_t_power(0, 7) == pytest.approx(0.05, abs=1e-5)
    assert paired_t_power(1e-6, 7) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_power_by_integration(n):
    for difference in (0.5, 4.0, 30.0):
        shift, critical = difference * math.sqrt(n), t.ppf(0.975, n - 1)

        def found(w, shift=shift, critical=critical):
            density = chi.pdf(w * math.sqrt(n - 1), n - 1) * math.sqrt(n - 1)
            return (norm.cdf(shift - critical * w) + norm.cdf(-critical * w - shift)) * density

        expected = quad(found, 0, 8, points=[shift / critical], limit=500)[0]
        assert paired_t_power(difference, n) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.66, 1.0, 1.68, 3.3, 100])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_seeds_needed_are_the_fewest(ratio, level):
    n = seeds_needed(ratio * 0.3, 0.3, level=level)
    assert paired_t_power(ratio, n, level=level) >= 0.8
    assert n == 2 or paired_t_power(ratio, n - 1, level=level) < 0.8


def test_the_seeds_needed_and_the_detectable_difference_agree():
    for n in (3, 5, 10, 20):
        assert seeds_needed(detectable_difference(n) * (1 + 1e-9), 1.0) == n


def test_two_seeds_can_show_little():
    assert detectable_difference(2) > 10
    assert paired_t_power(detectable_difference(2), 2) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_t_power(1.0, 1), "n must be >= 2, got 1"),
        (lambda: paired_t_power(-1.0, 3), "difference must be >= 0"),
        (lambda: paired_t_power(math.nan, 3), "difference must be >= 0"),
        (lambda: detectable_difference(3, power=0.01), "power must be between 0.05 and 1"),
        (lambda: seeds_needed(0.0, 1.0), "margin must be > 0"),
        (lambda: seeds_needed(1.0, 0.0), "s must be > 0, got 0.0: differences alike"),
        (lambda: seeds_needed(1e-6, 1.0), "needs over 1,048,576 seeds"),
        (lambda: seeds_needed(1.0, 1.0, level=1.0), r"level must be in \(0, 1\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

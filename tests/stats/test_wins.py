"""P(A > B) against SciPy, and the figures of published tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from bakeoff.stats import Wins, binomial_interval, count_wins, improvement

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
COUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(any)


@drawn
@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_and_the_test_agree_with_scipy_and_statsmodels(counts, level):
    wins, losses = counts
    found = Wins(wins, losses, 0, level)
    theirs = binomtest(wins, wins + losses)
    interval = theirs.proportion_ci(level, method="exact")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    also = proportion_confint(wins, wins + losses, 1 - level, "beta")
    assert (found.low, found.high) == pytest.approx(also, abs=1e-9)
    assert found.p == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize(("n", "low"), [(5, 0.478), (6, 0.541), (8, 0.631)])
def test_wins_in_every_seed(n, low):
    assert Wins(n, 0).low == pytest.approx(low, abs=5e-4)
    assert Wins(n, 0).low == pytest.approx(0.025 ** (1 / n))  # closed form
    assert Wins(n, 0).high == 1


def test_ties_decide_nothing_and_are_counted():
    found = count_wins({0: 1.0, 1: 2.0, 2: 3.0, 3: 9.0}, {0: 1.0, 1: 1.0, 2: 4.0, 5: 0.0})
    assert found == Wins(1, 1, 1)
    assert (found.n, found.share, found.p) == (2, 0.5, 1.0)


def test_no_seed_that_decides():
    for found in (count_wins({}, {}), count_wins({0: 1.0}, {0: 1.0}), count_wins({0: 1.0}, {1: 1.0})):
        assert (found.share, found.low, found.high, found.p) == (None, 0, 1, 1)


def test_a_bad_run_loses_and_two_of_them_tie():
    found = count_wins({0: None, 1: 0.1, 2: None}, {0: 0.2, 1: None, 2: None})
    assert found == Wins(1, 1, 1)


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="give a diverged run as None"):
        count_wins({0: float("nan")}, {0: 1.0})
    with pytest.raises(ValueError, match="give a diverged run as None"):
        count_wins({0: 1.0}, {0: -np.inf})
    with pytest.raises(ValueError, match="between 0 and n, got 4 of 3"):
        binomial_interval(4, 3)


@pytest.mark.parametrize(
    ("wins", "said"),
    [
        (Wins(5, 0), "not significant"),
        (Wins(6, 0), "significant and meaningful"),
        (Wins(550, 450), "not meaningful"),
        (Wins(22, 8), "significant and meaningful"),  # the share is below γ, the upper end above
        (Wins(0, 9), "not significant"),
        (Wins(0, 0, 3), "not significant"),
    ],
)
def test_bouthilliers_criterion(wins, said):
    assert improvement(wins) == said


def test_gamma_is_checked():
    with pytest.raises(ValueError, match=r"gamma must be in \(0.5, 1\), got 0.5"):
        improvement(Wins(5, 0), gamma=0.5)

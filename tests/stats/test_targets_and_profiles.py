"""Times to a target, profiles and AlgoPerf's score: closed form, integral, and the code that is published."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from bakeoff.stats import (
    algoperf_score,
    algoperf_score_on_grid,
    performance_profile,
    performance_ratios,
    steps_ratio,
    time_to_target,
)

drawn = settings(deadline=None)
RATIOS = st.lists(st.floats(1, 8) | st.just(math.inf), min_size=1, max_size=8)


def test_the_first_time_and_not_the_best():
    times, accuracies = [100, 200, 300, 400], [0.5, 0.9, 0.7, 0.95]
    assert time_to_target(times, accuracies, 0.9, lower_is_better=False) == 200
    assert time_to_target(times, accuracies, 0.91, lower_is_better=False) == 400
    assert time_to_target(times, accuracies, 0.99, lower_is_better=False) == math.inf
    assert time_to_target(times, accuracies, 0.7, lower_is_better=True) == 100
    assert time_to_target([], [], 0.7, lower_is_better=True) == math.inf


def test_a_diverged_run_reaches_nothing_more():
    assert time_to_target([1, 2], [0.5, math.nan], 0.4, lower_is_better=True) == math.inf
    assert time_to_target([1, 2], [0.5, math.nan], 0.5, lower_is_better=True) == 1


def test_times_are_checked():
    with pytest.raises(ValueError, match="each value must have its time, got 2 times of 1"):
        time_to_target([1, 2], [0.5], 0.4, lower_is_better=True)
    with pytest.raises(ValueError, match="times must rise"):
        time_to_target([1, 1], [0.5, 0.4], 0.4, lower_is_better=True)


def test_the_ratio_of_steps_to_the_same_loss():
    fast, slow = ([1, 2, 3], [3.0, 1.0, 0.5]), ([1, 2, 3, 4, 5, 6], [5.0, 4.0, 3.0, 2.0, 1.5, 1.0])
    assert steps_ratio(fast, slow) == 2 / 6
    assert steps_ratio(slow, fast) == 3
    assert steps_ratio(fast, fast) == 1
    assert steps_ratio(fast, ([], [])) is None
    assert steps_ratio(fast, ([1], [math.nan])) is None


def test_ratios_to_the_fastest():
    ratios = performance_ratios([[10, 40, math.inf, math.inf], [20, 20, 5, math.inf]])
    assert ratios.tolist() == [[1, 2, math.inf, math.inf], [2, 1, 1, math.inf]]
    with pytest.raises(ValueError, match="times must be > 0"):
        performance_ratios([[0.0, 1.0]])


def test_the_published_example():
    assert algoperf_score([1, 1.5, 4.2, 2]) == 0.625
    assert algoperf_score_on_grid([1, 1.5, 4.2, 2]) == pytest.approx(0.625, abs=0.5 / 99)


@drawn
@given(RATIOS, st.floats(1.5, 6))
def test_the_score_is_the_area_under_the_profile(ratios, r_max):
    jumps = [r for r in ratios if r < r_max]
    area, _ = quad(lambda tau: float(performance_profile(ratios, [tau])[0]), 1, r_max, points=jumps, limit=200)
    assert algoperf_score(ratios, r_max=r_max) == pytest.approx(area / (r_max - 1), abs=1e-6)


@drawn
@given(RATIOS)
def test_on_the_grid_it_is_what_their_code_computes(ratios):
    # mlcommons/algorithmic-efficiency, scoring/performance_profile.py: linspace(1, 4, 100), trapz, over the range
    taus = np.linspace(1, 4, 100)
    rho = np.array([np.mean(np.array(ratios) <= tau) for tau in taus])
    assert algoperf_score_on_grid(ratios) == pytest.approx(np.trapezoid(rho, x=taus) / (taus.max() - taus.min()))
    assert algoperf_score_on_grid(ratios) == pytest.approx(algoperf_score(ratios), abs=0.5 / 99 + 1e-9)


@drawn
@given(RATIOS)
def test_a_profile_rises_to_the_share_that_reached_the_target(ratios):
    profile = performance_profile(ratios, np.linspace(0.5, 9, 50))
    assert (np.diff(profile) >= 0).all()
    assert profile[0] == 0
    assert profile[-1] == np.mean(np.isfinite(ratios))


@pytest.mark.parametrize("ratios", [[], [0.9], [math.nan]])
def test_what_is_no_ratio_is_refused(ratios):
    with pytest.raises(ValueError, match="ratios must be >= 1"):
        algoperf_score(ratios)
    with pytest.raises(ValueError, match="r_max must be > 1, got 1"):
        algoperf_score([1.0], r_max=1)

"""Mean, interquartile mean and median against SciPy and NumPy; rliable's interquartile mean is `trim_mean(x, 0.25)`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from bakeoff.stats import interquartile_mean, mean, median

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
VALUES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=20)


@drawn
@given(VALUES)
def test_they_agree_with_scipy_and_numpy(values):
    assert float(interquartile_mean(values)) == pytest.approx(trim_mean(values, 0.25), rel=1e-9, abs=1e-6)
    assert float(mean(values)) == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert float(median(values)) == np.median(values)


@pytest.mark.parametrize("aggregate", [mean, interquartile_mean, median])
def test_they_are_of_the_last_axis(aggregate):
    values = np.random.default_rng(0).normal(size=(3, 4, 9))
    assert aggregate(values).shape == (3, 4)
    assert aggregate(values)[1, 2] == aggregate(values[1, 2])


def test_an_outlier_moves_the_mean_alone():
    values = [0.90, 0.91, 0.92, 0.93, 0.10]
    assert float(interquartile_mean(values)) == pytest.approx(0.91)
    assert float(median(values)) == 0.91


def test_a_missed_target_is_infinite_for_the_median_alone():
    assert float(median([100.0, 300.0, math.inf])) == 300
    assert float(median([100.0, math.inf, math.inf])) == math.inf
    for aggregate in (mean, interquartile_mean):
        with pytest.raises(ValueError, match="finite"):
            aggregate([100.0, math.inf])
    with pytest.raises(ValueError, match="infinity"):
        median([100.0, math.nan])


@pytest.mark.parametrize("aggregate", [mean, interquartile_mean, median])
def test_nothing_has_no_middle(aggregate):
    with pytest.raises(ValueError, match="values must hold"):
        aggregate([])

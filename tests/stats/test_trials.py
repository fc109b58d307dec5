"""The best of k trials against counts of every draw; sensitivity and tunability by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.stats import expected_best, learning_rate_sensitivity, tunability

drawn = settings(deadline=None)
SHOWN = (0.1, 0.4, 0.7, 0.9, 0.95)
VALUES = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=5)


def test_the_published_example():
    assert expected_best(SHOWN, replacement=True) == pytest.approx([0.61, 0.786, 0.8596, 0.89544, 0.914896])
    assert expected_best(SHOWN) == pytest.approx([0.61, 0.83, 0.91, 0.94, 0.95])


@drawn
@given(VALUES)
def test_it_is_the_mean_of_every_draw(values):
    for k in range(1, len(values) + 1):
        every = [max(draw) for draw in itertools.product(values, repeat=k)]
        assert expected_best(values, replacement=True)[k - 1] == pytest.approx(np.mean(every), abs=1e-9)
        subsets = [max(draw) for draw in itertools.combinations(values, k)]
        assert expected_best(values)[k - 1] == pytest.approx(np.mean(subsets), abs=1e-9)


def test_without_replacement_it_is_unbiased():
    rng = np.random.default_rng(0)
    truth = [k / (k + 1) for k in range(1, 6)]  # the largest of k uniform values
    found = np.mean([expected_best(rng.random(5)) for _ in range(4000)], axis=0)
    biased = np.mean([expected_best(rng.random(5), replacement=True) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(found, truth, atol=0.01)
    assert biased[4] < truth[4] - 0.03


@drawn
@given(VALUES, st.randoms())
def test_more_trials_are_never_worse_and_their_order_means_nothing(values, random):
    best = expected_best(values)
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(best))
    assert best[-1] == pytest.approx(max(values))
    assert expected_best(random.sample(values, len(values))) == best


def test_no_trials_and_a_bad_one():
    assert expected_best([]) == []
    with pytest.raises(ValueError, match="worst value that the metric can have"):
        expected_best([1.0, math.nan])


def test_sensitivity_by_hand():
    assert learning_rate_sensitivity([0.4, 0.2, 0.6], 2.0) == pytest.approx(0.2)
    assert learning_rate_sensitivity([0.2] * 5, 2.0) == pytest.approx(0)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, 50.0])
def test_a_rate_that_diverged_counts_as_the_initial_loss(bad):
    assert learning_rate_sensitivity([0.2, bad], 2.0) == pytest.approx((0.2 + 2.0) / 2 - 0.2)
    assert learning_rate_sensitivity([bad, bad], 2.0) == 0


def test_sensitivity_of_nothing():
    with pytest.raises(ValueError, match="at least 1"):
        learning_rate_sensitivity([], 2.0)
    with pytest.raises(ValueError, match="initial_loss must be finite"):
        learning_rate_sensitivity([1.0], math.inf)


def test_tunability_by_hand():
    assert tunability([1.0, 2.0, 4.0]) == pytest.approx((3 * 1 + 2 * 2 + 4) / 6)
    assert tunability([1.0, 2.0, 4.0], [0, 0, 5]) == 4
    assert tunability([0.9]) == 0.9


def test_a_method_that_needs_no_tuning_is_more_tunable_though_its_best_is_less():
    easy, hard = expected_best([0.93, 0.94, 0.94, 0.93]), expected_best([0.2, 0.5, 0.3, 0.95])
    assert hard[-1] > easy[-1]
    assert tunability(easy) > tunability(hard)


@pytest.mark.parametrize(
    ("incumbents", "weights", "message"),
    [
        ([], None, "a weight for each"),
        ([1.0, 2.0], [1], "a weight for each number of trials, got 1 of 2"),
        ([1.0, 2.0], [1, -1], "weights must be >= 0"),
        ([1.0, 2.0], [0, 0], "one above 0"),
        ([2.0, 1.0], None, "must not fall"),
    ],
)
def test_bad_tuning(incumbents, weights, message):
    with pytest.raises(ValueError, match=message):
        tunability(incumbents, weights)

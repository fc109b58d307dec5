"""Families of comparisons against statsmodels, and intervals that agree with p-values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp
from statsmodels.stats.multitest import multipletests

from bakeoff.stats import (
    Comparison,
    Estimate,
    Wins,
    compare_family,
    compare_signs,
    decide,
    holm,
    max_t_test,
    sign_flips,
)

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def table(n, comparisons, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, comparisons)) + shift


def as_family(columns):
    return {k: dict(enumerate(column.tolist())) for k, column in enumerate(columns.T)}


@drawn
@given(P_VALUES)
def test_holm_agrees_with_statsmodels(ps):
    np.testing.assert_allclose(holm(ps), multipletests(ps, method="holm")[1], atol=1e-12)


def test_holm_refuses_what_is_no_p_value():
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm([0.5, bad])


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_below_eight_seeds_it_is_holm_over_paired_t(n):
    columns = table(n, 6, n, 1.0)
    found = compare_family(as_family(columns))
    expected = multipletests(ttest_1samp(columns, 0).pvalue, method="holm")[1]
    np.testing.assert_allclose([found[k].p for k in range(6)], expected, rtol=1e-9)
    assert {c.method for c in found.values()} == {"holm"}


@pytest.mark.parametrize("n", [8, 10])
def test_from_eight_seeds_it_is_max_t(n):
    columns = table(n, 6, n, 0.5)
    found = compare_family(as_family(columns))
    assert [found[k].p for k in range(6)] == max_t_test(columns).corrected.tolist()
    assert {c.method for c in found.values()} == {"max-t"}


def test_one_short_comparison_makes_it_holm():
    family = as_family(table(9, 3))
    del family[2][8], family[2][7]
    assert {c.method for c in compare_family(family).values()} == {"holm"}


def test_intervals_are_bonferronis_where_nothing_is_moved():
    columns = table(10, 5, 1, 30.0)
    columns[:, 0] -= 30
    for k, found in compare_family(as_family(columns)).items():
        column = columns[:, k]
        half = t.ppf(1 - 0.025 / 5, 9) * column.std(ddof=1) / math.sqrt(10)
        assert (found.low, found.high) == pytest.approx((column.mean() - half, column.mean() + half))


@pytest.mark.parametrize("n", [3, 5, 8, 10])
@pytest.mark.parametrize("seed", range(20))
def test_an_interval_says_what_p_says(n, seed):
    columns = table(n, 4, seed, np.array([0.0, 1.0, -1.5, 3.0]))
    for found in compare_family(as_family(columns)).values():
        includes = found.low < 0 < found.high or (not found.different() and found.low <= 0 <= found.high)
        assert includes == (not found.different())
        assert found.low <= found.difference.mean <= found.high
        assert found.swapped().swapped() == found


def test_comparisons_decided_elsewhere_take_their_part():
    columns = table(8, 3, 0, 1.0)
    alone, beside = compare_family(as_family(columns)), compare_family(as_family(columns), others=3)
    for k in range(3):
        assert beside[k].p == pytest.approx(min(1, 2 * alone[k].p))
        assert beside[k].high >= alone[k].high


def test_fewer_than_two_seeds_decide_nothing_and_cost_the_others_nothing():
    family = as_family(table(3, 2, 0, 2.0))
    more = compare_family({**family, "one": {0: 5.0}, "none": {}})
    assert [more[k] for k in range(2)] == list(compare_family(family).values())
    assert (more["one"].difference.mean, more["one"].p, more["one"].low) == (5.0, 1.0, None)
    assert (more["none"].difference, more["none"].p, more["none"].method) == (None, 1.0, "none")
    assert compare_family({}) == {}


def test_differences_without_spread_do_not_pass_for_sure():
    same = compare_family({"a": dict.fromkeys(range(3), 0.0028)})["a"]
    assert (same.p, same.different(), same.low, same.high) == (0.25, False, None, None)
    assert decide(same, margin=1.0) == "undecided"  # an interval of no width would lie within any margin
    zero = compare_family({"a": dict.fromkeys(range(9), 0.0)})["a"]
    assert (zero.p, zero.low, zero.high, decide(zero, margin=1.0)) == (1.0, None, None, "undecided")


def test_the_sign_test_by_holm():
    found = compare_signs({"a": Wins(9, 1), "b": Wins(10, 0)}, {"a": Estimate(1.0, 0.5, 1.5, 8), "b": None}, others=2)
    assert found["b"].p == pytest.approx(2 * 2 * 2 / 2**10)
    assert found["a"].p == pytest.approx(2 * 22 / 2**10)
    assert (found["a"].low, found["a"].difference.mean, found["a"].method) == (None, 1.0, "sign test")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("n", [3, 8])
def test_what_is_not_finite_is_refused(bad, n):
    with pytest.raises(ValueError, match="finite"):
        compare_family({"a": {**dict.fromkeys(range(n), 1.0), 0: bad}})


@pytest.mark.parametrize(("p", "different"), [(0.05, True), (1 - 0.95, True), (0.0500001, False)])
def test_at_the_level_itself_it_is_different(p, different):
    gap = Comparison(Estimate(1.0, 0.1, 1.9, 9), low=0.0, high=2.0, p=p, alone=p, lead=1, method="max-t")
    assert gap.different(0.95) is different


def test_bonferroni_loses_little_for_all_pairs_of_26_arms():
    rng, (first, second) = np.random.default_rng(0), np.triu_indices(26, 1)
    critical = []
    for _ in range(20):
        arms = rng.normal(size=(10, 26))
        differences = arms[:, first] - arms[:, second]
        q = np.square(sign_flips(10) @ differences) / (10 * np.square(differences).sum(axis=0))
        critical.append(np.quantile(np.sqrt(9 * q / (1 - q)).max(axis=1), 0.95))
    assert np.median(critical) == pytest.approx(6.1, abs=0.15)
    assert t.ppf(1 - 0.025 / 325, 9) == pytest.approx(6.2, abs=0.05)

"""Arms of a sweep: who may be the best, bad ends, margins."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from bakeoff.stats import below_resolution, compare_arms, compare_family, decide, max_t_test
from bakeoff.stats.family import Comparison
from bakeoff.stats.interval import Estimate
from bakeoff.stats.leader import with_leader

drawn = settings(deadline=None)  # the first call of a SciPy function may take long
ARMS = st.dictionaries(
    st.sampled_from("abcd"),
    st.dictionaries(st.integers(0, 9), st.none() | st.floats(-10, 10, allow_subnormal=False)),
    max_size=4,
)


def sweep(n, means, seed=0, s=1.0):
    noise = np.random.default_rng(seed).normal(0, s / math.sqrt(2), (n, len(means)))
    return {
        f"arm{i}": dict(enumerate((column + mean).tolist()))
        for i, (mean, column) in enumerate(zip(means, noise.T, strict=True))
    }


def test_the_family_is_all_pairs():
    arms = sweep(10, [0, 0, 2, 2])
    columns = np.array([list(arms[a].values()) for a in arms]).T
    pairs = list(itertools.combinations(range(4), 2))
    expected = max_t_test(np.array([columns[:, i] - columns[:, j] for i, j in pairs]).T).corrected
    found = compare_arms(arms)
    assert len(found.best) == 2
    seen = [found.comparison(f"arm{i}", f"arm{j}").p for i, j in pairs]
    np.testing.assert_allclose(seen[:-1], expected[:-1])
    assert seen[-1] <= expected[-1]  # of the two that lead, the question whether one is the best is asked beside that


def test_a_clear_sweep():
    found = compare_arms(sweep(10, [0, 0, 8, 0]))
    assert found.best == ("arm2",)
    assert [found.standing(a) for a in found.names] == ["worse", "worse", "better", "worse"]
    assert found.leader == "arm2"
    assert found.against_best("arm2")[0] >= 0
    assert found.against_best("arm0")[1] == 0


def test_never_a_lone_best_where_others_may_be():
    found = compare_arms(sweep(10, [0, 0.1, -9]))
    assert set(found.best) == {"arm0", "arm1"}
    assert {found.standing(a) for a in found.best} == {"best set"}
    low, high = found.against_best("arm0")
    assert low < 0 < high


def test_practically_the_same_comes_before_better():
    arms = {"a": {s: 1.0 + 0.01 * s for s in range(10)}, "b": {s: 0.9 + 0.0101 * s for s in range(10)}}
    sure = compare_arms(arms)
    assert (sure.decision("a", "b"), sure.standing("a")) == ("better", "better")
    close = compare_arms(arms, margin=0.2)
    assert (close.decision("a", "b"), close.decision("b", "a")) == ("same", "same")
    assert (close.leader, close.standing("a"), close.standing("b")) == ("a", "best set", "same")
    narrow = compare_arms(arms, margin=0.05)
    assert narrow.decision("a", "b") == "better"


def test_the_whole_interval_must_lie_within_the_margin():
    gap = Comparison(Estimate(0.0, -1, 1, 5), low=-1.0, high=1.5, p=1.0, alone=1.0, lead=1, method="holm")
    assert [decide(gap, margin=m) for m in (None, 1.4, 1.5)] == ["undecided", "undecided", "same"]
    assert decide(gap.swapped(), margin=1.4) == "undecided"
    with pytest.raises(ValueError, match="margin must be > 0, got 0"):
        decide(gap, margin=0)


def test_a_margin_below_one_example():
    assert below_resolution(0.0027, 360)
    assert not below_resolution(1 / 360, 360)


def with_bad(values, *seeds):
    return {seed: None if seed in seeds else value for seed, value in values.items()}


def test_a_bad_run_loses():
    arms = sweep(20, [9, 0])
    found = compare_arms({"a": with_bad(arms["arm0"], 3), "b": arms["arm1"]})
    assert found.count("a", "b").wins == 19
    assert found.comparison("a", "b").method == "sign test"
    assert found.comparison("a", "b").p < 1e-4
    assert found.decision("a", "b") == "undecided"  # more bad ends: never better
    assert found.decision("b", "a") == "undecided"
    turned = compare_arms({"a": arms["arm0"], "b": with_bad(arms["arm1"], 3)})
    assert (turned.decision("a", "b"), turned.standing("b")) == ("better", "worse")


def test_an_arm_with_more_bad_ends_is_never_the_same():
    arms = {"a": dict.fromkeys(range(10), 1.0), "b": {s: 1.0 + 0.001 * (-1) ** s for s in range(10)}}
    assert compare_arms(arms, margin=0.5).decision("a", "b") == "same"
    bad = compare_arms({"a": arms["a"], "b": {**arms["b"], 10: None}}, margin=0.5)  # no shared seed is bad
    assert (bad.comparison("a", "b").method, bad.decision("a", "b"), bad.decision("b", "a")) == (
        "max-t",
        *["undecided"] * 2,
    )
    turned = compare_arms({"b": {**arms["b"], 10: None}, "a": arms["a"]}, margin=0.5)
    assert turned.decision("b", "a") == "undecided"
    bad = compare_arms({"a": arms["a"], "b": with_bad(arms["b"], 0)}, margin=0.5)
    assert bad.decision("a", "b") == "undecided"


def test_the_leader_has_the_fewest_bad_ends():
    arms = sweep(4, [5, 0])
    found = compare_arms({"a": with_bad(arms["arm0"], 1), "b": arms["arm1"]})
    assert (set(found.best), found.leader, found.bad) == ({"a", "b"}, "b", {"a": 1, "b": 0})


def test_pairs_of_both_kinds_share_alpha_by_their_number():
    arms = sweep(10, [9, 0, 9])
    arms["arm2"] = with_bad(arms["arm2"], 0)
    found = compare_arms(arms)
    assert found.comparison("arm0", "arm2").alone > 0.05  # no lone leader
    assert found.comparison("arm0", "arm1").p == pytest.approx(3 * 2 / 2**10)  # 1 of 3 pairs, the least p of a flip
    assert found.comparison("arm1", "arm2").p == pytest.approx(3 / 2 * 2 * 22 / 2**10)  # 2 of 3, Holm over 2


def test_the_leader_is_the_best_if_it_beats_each_by_itself():
    arms = sweep(5, [3, 0, 0, 0, 0, 0, 0, 0], seed=1)
    found = compare_arms(arms)
    others = found.names[1:]
    alone = [ttest_rel(list(arms["arm0"].values()), list(arms[other].values())).pvalue for other in others]
    assert max(alone) < 0.05 < 28 * max(alone)
    assert max(found.comparison(other, "arm0").p for other in others) == pytest.approx(max(alone))
    assert (found.best, found.standing("arm0")) == (("arm0",), "better")
    assert {found.standing(other) for other in others} == {"worse"}
    assert all(found.comparison("arm0", other).low >= 0 for other in others)
    assert {found.decision(a, b) for a, b in itertools.permutations(others, 2)} == {"undecided"}


def test_one_arm_too_close_and_the_leader_is_not_alone():
    arms = sweep(5, [3, 0, 0, 0, 0, 0, 0, 0], seed=1)
    found = compare_arms({**arms, "rival": {s: v + (-1) ** s for s, v in arms["arm0"].items()}})
    assert {"arm0", "rival"} <= set(found.best)


def test_hsus_own_intervals_leave_out_some_of_equal_arms():
    rng, (first, second) = np.random.default_rng(0), np.triu_indices(26, 1)

    def t(differences):
        return differences.mean(axis=0) / differences.std(axis=0, ddof=1) * math.sqrt(10)

    def equal_arms(sweeps):
        return (rng.normal(size=(10, 26)) for _ in range(sweeps))

    against_one = [t(arms[:, 1:] - arms[:, [0]]).max() for arms in equal_arms(2000)]
    critical = np.quantile(against_one, 0.95)  # one-sided, of one arm against the others
    left_out = [np.abs(t(arms[:, first] - arms[:, second])).max() > critical for arms in equal_arms(500)]
    assert np.mean(left_out) == pytest.approx(0.68, abs=0.07)


def test_the_leader_is_asked_only_if_none_has_fewer_bad_ends():
    gaps = {("a", "b"): {0: 3.0, 1: 4.0, 2: 3.5}, ("a", "c"): {0: 2.0, 1: 3.0, 2: 2.4}, ("b", "c"): {0: -1.0, 1: 0.5}}
    pairs = compare_family(gaps)
    assert with_leader("abc", pairs, bad={"a": 1, "b": 1}, level=0.95) == pairs
    assert with_leader("abc", pairs, bad={"a": 1, "b": 1, "c": 1}, level=0.95) != pairs
    assert with_leader("abc", pairs, bad={"c": 2}, level=0.95) != pairs


def test_a_leader_with_more_bad_ends_is_not_the_best():
    arms = sweep(12, [9, 0, 0])
    assert compare_arms(arms).standing("arm0") == "better"
    found = compare_arms({**arms, "arm0": with_bad(arms["arm0"], 5)})
    assert found.standing("arm0") == "best set"


@pytest.mark.parametrize(
    ("arms", "best", "standings"),
    [
        ({}, (), []),
        ({"a": {0: 1.0}}, ("a",), ["best set"]),
        ({"a": {}}, (), ["no value"]),
        ({"a": {0: None, 1: None}, "b": {0: 1.0, 1: 2.0}}, ("b",), ["no value", "best set"]),
        ({"a": {0: 9.0}, "b": {0: 1.0}}, ("a", "b"), ["best set"] * 2),
        ({"a": {0: 9.0, 1: 9.5}, "b": {2: 1.0, 3: 1.5}}, ("a", "b"), ["best set"] * 2),
        ({"a": {0: None}, "b": {0: None}}, (), ["no value"] * 2),
    ],
)
def test_poor_sweeps_have_an_answer_too(arms, best, standings):
    found = compare_arms(arms)
    assert found.best == best
    assert [found.standing(a) for a in arms] == standings
    assert found.leader in {*best, None}


@drawn
@given(ARMS, st.none() | st.floats(0.1, 5))
def test_whatever_the_runs_the_standings_are_consistent(arms, margin):
    found = compare_arms(arms, margin=margin)
    for a, b in itertools.permutations(arms, 2):
        turned = {"better": "worse", "worse": "better"}
        assert found.decision(b, a) == turned.get(found.decision(a, b), found.decision(a, b))
        if found.bad[a] > found.bad[b]:
            assert found.decision(a, b) in {"worse", "undecided"}
    shifted = compare_arms(
        {a: {s: v if v is None else -v for s, v in by_seed.items()} for a, by_seed in arms.items()}, margin=margin
    )
    for a, b in itertools.permutations(arms, 2):
        if not any(v is None for v in (*arms[a].values(), *arms[b].values())):
            assert shifted.decision(a, b) == found.decision(b, a)
    if any(v is not None for by_seed in arms.values() for v in by_seed.values()):
        assert sum(found.standing(a) == "better" for a in arms) <= 1

"""How often decisions are wrong, by the simulations of benchmarks/decisions.py, with a fixed generator."""

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bakeoff.stats import compare_arms

SWEEPS = 2000  # 3 standard errors of 5% are 1.5%


def _load(name: str) -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


decisions = _load("decisions")


@pytest.mark.parametrize("n", [3, 5, 7, 8, 10])
@pytest.mark.parametrize("ahead", [0, 4])
def test_the_simulations_decide_as_compare_arms_does(n, ahead):
    rng = np.random.default_rng(n)
    for _ in range(5):
        arms = decisions.LAWS["normal"](rng, (n, 5))
        arms[:, 2] += ahead
        found = compare_arms({a: dict(enumerate(column.tolist())) for a, column in enumerate(arms.T)})
        ours = decisions.decided(arms, rng)
        theirs = [found.decision(a, b) != "undecided" for a, b in itertools.combinations(range(5), 2)]
        assert any(ours) == any(theirs)
        assert all(ours <= np.array(theirs))  # below 8 seeds they don't step down
        if n >= 8:
            assert list(ours) == theirs


@pytest.mark.long
@pytest.mark.parametrize("law", decisions.LAWS)
@pytest.mark.parametrize("n", [8, 10])
def test_of_equal_arms_few_sweeps_have_a_false_decision_by_sign_flips(n, law):
    assert 0.03 <= decisions.family_wise_rate(n, decisions.LAWS[law], SWEEPS) <= 0.06


@pytest.mark.long
@pytest.mark.parametrize("law", decisions.LAWS)
@pytest.mark.parametrize("n", [3, 5, 7])
@pytest.mark.parametrize(("arms", "most"), [(26, 0.06), (3, 0.065)])  # of 3 that the leader is the best adds most
def test_of_equal_arms_few_sweeps_have_a_false_decision_by_holm(n, law, arms, most):
    assert decisions.family_wise_rate(n, decisions.LAWS[law], SWEEPS, arms) <= most


@pytest.mark.long
def test_uncorrected_most_sweeps_have_one():
    named_before, leader = decisions.uncorrected_rates(10, decisions.LAWS["normal"], SWEEPS)
    assert named_before == pytest.approx(0.5, abs=0.05)
    assert leader > 0.85


@pytest.mark.long
@pytest.mark.parametrize(("n", "least"), [(8, 0.85), (10, 0.97)])
def test_an_arm_that_is_2_s_ahead_is_found(n, least):
    found, false = decisions.power(n, 2, 500)
    assert found >= least
    assert false <= 0.08  # 500 sweeps: 3 standard errors are 3%


@pytest.mark.long
@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_of_unequal_arms_hold_together(n):
    assert decisions.arms_coverage(n, SWEEPS) >= 0.94


@pytest.mark.long
@pytest.mark.parametrize(
    ("correlation", "interaction", "missing"), [(0, 0, 0), (0.3, 0.5, 0), (0.6, 0, 0), (0.6, 1, 0), (0.6, 1, 0.05)]
)
@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_of_main_effects_hold(n, correlation, interaction, missing):
    one, together, pooled = decisions.main_effect_coverage(n, correlation, interaction, SWEEPS, missing)
    assert 0.93 <= one <= 0.97
    assert together >= 0.94
    if correlation:
        assert pooled < 0.9  # what runs pooled as if independent would have said

"""The table of metrics, and what is asked for where it says nothing."""

import math

import pytest

from bakeoff.errors import UserError
from bakeoff.module.task import KINDS
from bakeoff.runs import METRICS, direction_of, find_metric, is_better, metric_names


def test_directions():
    assert {name for name, metric in METRICS.items() if metric.direction == "min"} == {
        "loss", "nll", "ece", "rmse", "mae",
    }  # fmt: skip
    assert {name for name, metric in METRICS.items() if metric.direction == "max"} == {
        "accuracy", "exact_match", "top5", "r2",
    }  # fmt: skip
    assert direction_of("test/rmse") == "min"
    assert direction_of("val/accuracy", "max") == "max"


def test_every_metric_has_a_task_and_a_unit():
    for name, metric in METRICS.items():
        assert set(metric.tasks) <= set(KINDS)
        assert metric.tasks or name == "loss"
        assert metric.unit
    assert {name for kind in KINDS for name in metric_names(kind)} == set(METRICS)
    assert set(metric_names("classification")) & set(metric_names("regression")) == {"loss"}


@pytest.mark.parametrize("name", ["val/error", "val/perplexity", "accuracy", "mine/loss", "val/sub/loss", "loss"])
def test_nothing_is_guessed_from_a_name(name):
    assert find_metric(name) is None
    with pytest.raises(UserError, match=f"whether {name} is better small or large; give metric_direction=min or =max"):
        direction_of(name)
    assert (direction_of(name, "min"), direction_of(name, "max")) == ("min", "max")


def test_what_is_stated_must_not_contradict_the_table():
    with pytest.raises(UserError, match="metric_direction=max, but val/rmse is better when it is small"):
        direction_of("val/rmse", "max")
    with pytest.raises(UserError, match="metric_direction must be min or max, got up"):
        direction_of("val/rmse", "up")


def test_better_is_strictly_better_and_finite():
    assert is_better(1.0, None, "min")
    assert is_better(0.5, 1.0, "min")
    assert is_better(1.5, 1.0, "max")
    assert not is_better(1.0, 1.0, "min")
    assert not is_better(1.5, 1.0, "min")
    for value in (math.nan, math.inf, -math.inf):
        assert not is_better(value, None, "max")
        assert not is_better(value, None, "min")

"""Which metric ranks, and in which direction: from the table, from the runs, from the user; never from its name."""

import re

import pytest

from bakeoff.errors import UserError
from bakeoff.report.metric import check_metric, find_direction, metric_direction, resolve_metric, why_no_direction


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("val/acuracy", "the metric val/acuracy (did you mean val/accuracy?); there are val/accuracy, val/loss"),
        ("val/zzz", "no run has the metric val/zzz; there are val/accuracy, val/loss"),
        ("accuracy", "a validation metric, as in val/accuracy, got accuracy (did you mean val/accuracy?)"),
        ("test/accuracy", "as in val/accuracy, got test/accuracy (did you mean val/accuracy?)"),
    ],
)
def test_an_unknown_metric_is_refused(make_record, metric, message):
    with pytest.raises(UserError, match=re.escape(message)):
        check_metric([make_record("a")], metric)


def test_a_short_name_finds_its_validation_metric(make_record):
    record = make_record("a", metrics={"val/r2": {"final": 0.5}, "val/rmse": {"final": 2.0}})
    with pytest.raises(UserError, match=r"did you mean val/r2\?"):
        check_metric([record], "r2")


OWN = "val/perplexity"


@pytest.fixture
def runs(make_record):
    """Records with `val/perplexity`, one for each direction that they state; None: they state none."""

    def make(*directions, metric=OWN):
        own = {OWN: {"final": 1.4}, "test/perplexity": {"final": 1.5}, "val/loss": {"final": 0.3}}
        return [
            make_record("a", seed, metrics=own, metric=metric, metric_direction=direction)
            for seed, direction in enumerate(directions)
        ]

    return make


@pytest.mark.parametrize("name", ["perplexity", "error", "val/perplexity", "val/error", "val/loss_weight", "best/loss"])
@pytest.mark.parametrize("metric", ["val/accuracy", None])
def test_no_name_tells_a_direction(runs, name, metric):
    assert find_direction(runs(None, metric=metric), name) is None
    assert find_direction([], name) is None
    with pytest.raises(UserError, match=f"^it is not known whether {name} is better small or large; give --direction"):
        metric_direction(runs(None, metric=metric), name)


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_runs_state_the_direction_of_their_own_metric(runs, direction):
    records = runs(direction, None, direction)
    assert find_direction(records, OWN) == metric_direction(records, OWN) == direction
    assert find_direction(records, "test/perplexity") == direction
    assert find_direction(records, "val/other") is None  # said of another metric


def test_runs_that_disagree_are_refused_unless_the_user_decides(runs):
    records = runs("min", "max", "min")
    assert find_direction(records, OWN) is None
    assert why_no_direction(records, OWN) == f"the runs disagree whether {OWN} is better small or large"
    with pytest.raises(
        UserError, match=r"^the runs disagree whether .*; give --direction min or --direction max"
    ) as error:
        metric_direction(records, OWN)
    assert "\n" not in str(error.value)
    assert metric_direction(records, OWN, "max") == "max"


def test_what_the_user_gives_decides_but_for_metrics_of_the_table(runs):
    assert metric_direction(runs(None), OWN, "min") == "min"
    assert metric_direction(runs("max"), OWN, "min") == "min"
    assert metric_direction(runs(None), "val/loss", "min") == "min"
    with pytest.raises(UserError, match=r"^direction must be min for val/loss, got max$"):
        metric_direction(runs(None), "val/loss", "max")


def test_the_table_counts_whatever_a_run_says(runs):
    assert find_direction(runs("max", metric="val/loss"), "val/loss") == "min"


def test_the_default_metric_is_rmse_for_regressions(make_record):
    regression = [make_record("a", metrics={"val/rmse": {"final": 2.0}})]
    assert resolve_metric(regression, "val/accuracy") == "val/rmse"
    assert resolve_metric(regression, "val/mae") == "val/mae"
    assert resolve_metric([make_record("a")], "val/accuracy") == "val/accuracy"
    assert resolve_metric([], "val/accuracy") == "val/accuracy"

"""The order of arms, and which of them have a rank."""

import pytest

from bakeoff.errors import UserError
from bakeoff.report.ranking import rank_arms
from bakeoff.runs.outcome import STATUSES


def ranks(rows):
    return [(row.arm.folder, row.rank, row.too_close) for row in rows]


def test_arms_are_ranked_by_the_mean_on_validation_data(make_arm):
    records = make_arm("low", 0.80, 0.82, 0.81) + make_arm("high", 0.95, 0.96, 0.97) + make_arm("mid", 0.9, 0.89)
    assert ranks(rank_arms(records)) == [("high", 1, False), ("mid", 2, True), ("low", 3, False)]


def test_steps_samples_and_seconds_are_means_over_completed_runs(make_record):
    records = [
        make_record("a", 0, steps=100, samples=1000, seconds=1.0),
        make_record("a", 1, steps=300, samples=3000, seconds=2.0),
        make_record("a", 2, None, "diverged", steps=7, samples=70, seconds=100.0),
    ]
    (row,) = rank_arms(records)
    assert (row.steps, row.samples, row.seconds) == (200, 2000, 1.5)


def test_order_of_complete_partial_and_empty_arms(make_arm):
    records = [
        *make_arm("none", "diverged", "diverged"),
        *make_arm("partial-low", 0.5, "failed"),
        *make_arm("partial-high", 0.99, "diverged"),
        *make_arm("complete-low", 0.1, 0.3),
        *make_arm("complete-high", 0.6, 0.7),
    ]
    assert ranks(rank_arms(records)) == [
        ("complete-high", 1, False),
        ("complete-low", 2, True),
        ("partial-high", None, False),
        ("partial-low", None, False),
        ("none", None, False),
    ]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "completed"])
def test_one_run_that_did_not_complete_bars_an_arm_from_being_best(make_arm, status):
    rows = rank_arms(make_arm("star", 0.99, 0.99, status) + make_arm("plain", 0.5, 0.5, 0.5))
    assert ranks(rows) == [("plain", 1, False), ("star", None, False)]
    assert rows[1].counts == {"completed": 2, status: 1}
    assert rows[1].validation.mean == 0.99


def test_a_number_left_by_a_run_that_diverged_is_not_averaged_in(make_record):
    records = [
        make_record("a", 0, 0.9),
        make_record("a", 1, 0.1, "diverged"),
        make_record("a", 2, 0.1, "failed"),
    ]
    (row,) = rank_arms(records)
    assert (row.validation.mean, row.validation.n, row.test.n) == (0.9, 1, 1)


def test_exact_ties_share_a_rank_in_the_order_of_their_folders(make_arm):
    records = make_arm("b", 0.9, 0.8) + make_arm("a", 0.8, 0.9) + make_arm("c", 0.2, 0.1)
    rows = rank_arms(records)
    assert [(row.arm.folder, row.rank) for row in rows] == [("a", 1), ("b", 1), ("c", 3)]
    assert [row.too_close for row in rows] == [False, True, True]


@pytest.mark.parametrize("metric", ["rmse", "mae", "loss", "nll", "ece"])
def test_lower_is_better_for_errors(make_record, metric):
    def record(folder, value):
        metrics = {f"val/{metric}": {"final": value}, f"test/{metric}": {"final": value + 1}}
        return make_record(folder, 0, metrics=metrics)

    rows = rank_arms([record("bad", 60.0), record("good", 53.2)], metric=f"val/{metric}")
    assert [(row.arm.folder, row.rank, row.test.mean) for row in rows] == [
        ("good", 1, 54.2),
        ("bad", 2, 61.0),
    ]


def test_the_direction_also_orders_arms_with_bad_runs(make_record):
    def record(folder, seed, value, status="completed"):
        return make_record(folder, seed, None, status, metrics={"val/rmse": {"final": value}})

    records = [record(f, 1, None, "failed") for f in ("a", "b")] + [record("a", 0, 9.0), record("b", 0, 5.0)]
    assert [row.arm.folder for row in rank_arms(records, metric="val/rmse")] == ["b", "a"]


def test_final_and_not_best_values_count(make_record):
    metrics = {"val/accuracy": {"final": 0.5, "best": 0.99, "best_step": 1}}
    (row,) = rank_arms([make_record("a", 0, metrics=metrics)])
    assert row.validation.mean == 0.5


def test_a_mean_over_only_some_test_values_is_not_shown(make_record):
    records = [make_record("a", 0), make_record("a", 1, metrics={"val/accuracy": {"final": 0.9}})]
    (row,) = rank_arms(records)
    assert (row.validation.n, row.test) == (2, None)


def own_metric(make_record, direction=None):
    return [
        make_record(str(value), 0, metrics={"val/perplexity": {"final": value}}, metric="val/perplexity")
        for value in (9.7, 1.4)
    ] + [
        make_record(
            "3", 0, metrics={"val/perplexity": {"final": 3}}, metric="val/perplexity", metric_direction=direction
        )
    ]


@pytest.mark.parametrize(("direction", "order"), [("min", ["1.4", "3", "9.7"]), ("max", ["9.7", "3", "1.4"])])
def test_a_metric_of_ones_own_is_ranked_as_stated_or_given(make_record, direction, order):
    stated = rank_arms(own_metric(make_record, direction), metric="val/perplexity")
    given = rank_arms(own_metric(make_record), metric="val/perplexity", direction=direction)
    assert [row.arm.folder for row in stated] == [row.arm.folder for row in given] == order
    assert [row.rank for row in stated] == [1, 2, 3]


def test_a_metric_of_ones_own_without_a_direction_is_not_ranked(make_record):
    with pytest.raises(UserError, match="it is not known whether val/perplexity is better small or large"):
        rank_arms(own_metric(make_record), metric="val/perplexity")

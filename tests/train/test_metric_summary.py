"""Final and best values, in the direction of each metric."""

import math

from bakeoff.train.metric_summary import MetricSummary


def test_final_and_best():
    summary = MetricSummary({})
    for step, (accuracy, loss) in enumerate([(0.5, 2.0), (0.9, 0.5), (0.9, 1.0), (0.7, math.nan)], start=1):
        summary.points(step, {"val/accuracy": accuracy, "val/loss": loss, "lr": 0.1, "time/update": 1.0})
    summary.points(4, {"test/accuracy": 0.8})
    assert set(summary.metrics) == {"val/accuracy", "val/loss", "test/accuracy"}
    assert summary.metrics["val/accuracy"] == {"final": 0.7, "best": 0.9, "best_step": 2}  # of equals, the first
    assert (summary.metrics["val/loss"]["best"], summary.metrics["val/loss"]["best_step"]) == (0.5, 2)
    assert math.isnan(summary.metrics["val/loss"]["final"])
    assert summary.metrics["test/accuracy"] == {"final": 0.8}


def test_a_users_metric_has_a_best_value_where_its_direction_is_stated():
    summary = MetricSummary({"val/error": "min"})
    for step, value in enumerate([0.5, 0.2, 0.4], start=1):
        summary.points(step, {"val/error": value, "val/other": value})
    assert summary.metrics["val/error"] == {"final": 0.4, "best": 0.2, "best_step": 2}
    assert summary.metrics["val/other"] == {"final": 0.4}
    restored = MetricSummary({"val/error": "min"})
    restored.load_state_dict(summary.state_dict())
    restored.points(4, {"val/error": 0.1})
    assert restored.metrics["val/error"]["best_step"] == 4
    assert summary.metrics["val/error"]["best_step"] == 2

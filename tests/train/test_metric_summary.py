"""Final and best values, in the direction of each metric."""

import math

from bakeoff.train.metric_summary import MetricSummary


def test_final_and_best():
    summary = Summary()
    for step, (accuracy, loss) in enumerate([(0.5, 2.0), (0.9, 0.5), (0.9, 1.0), (0.7, math.nan)], start=1):
        summary.log_metrics({"val/accuracy": accuracy, "val/loss": loss, "lr": 0.1, "time/update": 1.0}, step=step)
    summary.log_metrics({"test/accuracy": 0.8}, step=4)
    assert set(summary.metrics) == {"val/accuracy", "val/loss", "test/accuracy"}
    assert summary.metrics["val/accuracy"] == {"final": 0.7, "best": 0.9, "best_step": 2}  # of equals, the first
    assert (summary.metrics["val/loss"]["best"], summary.metrics["val/loss"]["best_step"]) == (0.5, 2)
    assert math.isnan(summary.metrics["val/loss"]["final"])
    assert summary.metrics["test/accuracy"] == {"final": 0.8}

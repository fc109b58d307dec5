"""The metric that arms are ranked by: what it may be, and a user's own from the log to checkpoint, record and rank."""

import math

import lightning.pytorch as pl
import pytest
import torch

from bakeoff.errors import UserError
from bakeoff.report import rank_arms, read_sweep
from bakeoff.runs import Direction, objective
from bakeoff.train.ranking_metric import resolve_metric


class LogsScore(pl.Callback):
    """Logs `val/f1`, a value at each validation; None logs nothing."""

    def __init__(self, values):
        self.values = values

    def on_validation_epoch_end(self, trainer, pl_module):
        value = self.values.pop(0)
        if value is not None:
            pl_module.log("val/f1", float(value))


def ranked_by_f1(make_run, values, direction, *more):
    own = (f"+callbacks.own._target_={__name__}.LogsScore", f"+callbacks.own.values={values}")
    count = values.count(",") + 1
    steps = (f"budget.steps={5 * count}", f"budget.validations={count}")
    return make_run(*own, *steps, "metric=val/f1", f"metric_direction={direction}", "checkpoint_every=0", *more)


@pytest.mark.parametrize(("direction", "best", "step"), [("max", 0.75, 10), ("min", 0.25, 15)])
def test_the_best_checkpoint_is_that_of_the_best_value(make_run, tmp_path, direction, best, step):
    run = ranked_by_f1(make_run, "[0.5,0.75,0.25,0.625]", direction)
    outcome = run.train(tmp_path)
    assert outcome.metrics["val/f1"] == {"final": 0.625, "best": best, "best_step": step}
    kept = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert (kept["metric"], kept["value"], kept["step"]) == ("val/f1", best, step)
    assert objective(outcome, run.metric, run.direction) == 0.625


@pytest.mark.parametrize(("direction", "first"), [("max", "optimizer=adam"), ("min", "optimizer=sgd")])
def test_arms_are_ranked_in_its_direction(make_run, tmp_path, direction, first):
    for optimizer, value in (("sgd", 0.25), ("adam", 0.75)):
        run = ranked_by_f1(make_run, f"[{value}]", direction, f"optimizer={optimizer}")
        run.train(tmp_path / f"optimizer={optimizer}" / "seed=0")
    assert rank_arms(read_sweep(tmp_path).records, metric="val/f1")[0].arm.folder == first


@pytest.mark.parametrize(("direction", "stops_at"), [("max", 20), ("min", 15)])
def test_a_run_stops_early_in_its_direction(make_run, tmp_path, direction, stops_at):
    run = ranked_by_f1(make_run, "[0.5,0.75,0.625,0.5,0.25]", direction, "early_stopping.patience=2")
    assert run.train(tmp_path).steps == stops_at


def test_what_is_not_a_number_is_never_the_best(make_run, tmp_path):
    run = ranked_by_f1(make_run, "[nan,0.5,nan]", "max")
    outcome = run.train(tmp_path)
    entry = outcome.metrics["val/f1"]
    assert outcome.status == "completed", outcome.error
    assert (entry["best"], entry["best_step"]) == (0.5, 10)
    assert not math.isfinite(entry["final"])
    assert not math.isfinite(objective(outcome, run.metric, run.direction))
    assert torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["step"] == 10


def test_one_that_is_logged_now_and_then_is_refused(make_run, tmp_path):
    outcome = ranked_by_f1(make_run, "[0.5,null,0.25]", "max").train(tmp_path)
    assert outcome.status == "failed"
    assert outcome.error["message"] == "metric=val/f1 must be logged at every validation, not at step 10"


@pytest.mark.parametrize(
    ("metric", "stated", "n_out", "expected"),
    [
        ("val/accuracy", None, 2, ("val/rmse", "min")),
        ("val/rmse/1", None, 2, ("val/rmse/1", "min")),
        ("val/r2/0", None, 2, ("val/r2/0", "max")),
        ("val/f1", "max", 2, ("val/f1", "max")),
        ("val/mae/own", "min", 1, ("val/mae/own", "min")),
    ],
)
def test_metrics_of_regression(metric, stated, n_out, expected):
    assert resolve_metric(metric, stated, "regression", n_out) == expected


@pytest.mark.parametrize(
    ("metric", "stated", "n_out", "message"),
    [
        ("val/f1", None, 2, "unknown metric val/f1.*say metric_direction=min or metric_direction=max"),
        ("val/f1", "up", 2, "metric_direction must be min or max, got up"),
        ("val/rmse/1", None, 1, "unknown metric val/rmse/1"),
        ("val/rmse/2", None, 2, "unknown metric val/rmse/2"),
        ("val/r2/0", "min", 2, "metric_direction=min, but val/r2/0 is better when it is large"),
        ("test/rmse", None, 1, "test data chooses nothing"),
        ("train/loss", "min", 1, "unknown metric train/loss"),
    ],
)
def test_what_arms_cannot_be_ranked_by(metric, stated, n_out, message):
    with pytest.raises(UserError, match=message):
        resolve_metric(metric, stated, "regression", n_out)


@pytest.mark.parametrize("has_average", [True, False])
def test_metrics_of_averaged_weights_are_listed_where_there_are_any(has_average):
    given: dict[str, Direction | None] = {"val/mape": "min", "val/ema/mape": "min"}
    with pytest.raises(UserError) as caught:
        resolve_metric("val/mapes", None, "regression", 1, given, has_average=has_average)
    ours = "val/rmse, val/loss, val/mae, val/r2, val/mape"
    averaged = f", {ours.replace('val/', 'val/ema/')}" if has_average else ""
    assert f"(did you mean val/mape?); there are {ours}{averaged}; for one that" in str(caught.value)

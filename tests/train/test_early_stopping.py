"""The rule of early stopping, against Lightning's own callback on random metrics."""

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from bakeoff.train.early_stopping import EarlyStopping
from bakeoff.train.member import Validation

# numbers that float32 holds exactly, as Lightning compares in float32
VALUES = st.sampled_from([i / 8 for i in range(-16, 17)] + [float("nan")])


def lightnings_stop(values, direction, patience, min_delta):
    """The index of the validation at which Lightning stops, or None."""
    callback = LightningEarlyStopping(
        "m", mode=direction, patience=patience, min_delta=min_delta, check_finite=False, verbose=False
    )
    for index, value in enumerate(values):
        stop, _ = callback._evaluate_stopping_criteria(torch.tensor(value))
        if stop:
            return index
    return None


def our_stop(values, direction, patience, min_delta):
    rule = EarlyStopping("m", direction, patience=patience, min_delta=min_delta)
    for index, value in enumerate(values):
        rule.validated(Validation(index, {"m": value}))
        restored = EarlyStopping("m", direction, patience=patience, min_delta=min_delta)
        restored.load_state_dict(rule.state_dict())  # resumed after each validation
        if rule.should_stop:
            return index
        rule = restored
    return None


@given(
    st.lists(VALUES, max_size=12),
    st.sampled_from(["min", "max"]),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.125, 1.0]),
)
def test_it_stops_where_lightning_does(values, direction, patience, min_delta):
    assert our_stop(values, direction, patience, min_delta) == lightnings_stop(values, direction, patience, min_delta)


@pytest.mark.parametrize(
    ("direction", "values"), [("min", [3.0, 2.0, 1.0, 1.0, 1.0]), ("max", [1.0, 2.0, 3.0, 3.0, 3.0])]
)
def test_a_metric_that_stays_the_same(direction, values):
    assert our_stop(values, direction, 2, 0.0) == 4


class LogsError(pl.Callback):
    """A user's own metric, which falls for three validations."""

    def on_validation_epoch_end(self, trainer, pl_module):
        self.count = getattr(self, "count", 0) + 1
        pl_module.log("val/error", float(max(0, 3 - self.count)))


def test_a_users_metric_stops_a_run_in_its_direction(make_run, tmp_path):
    command = (f"+callbacks.error._target_={__name__}.LogsError", "budget.steps=100", "budget.validations=20")
    metric = ("metric=val/error", "metric_direction=min", "early_stopping.patience=2")
    outcome = make_run(*command, *metric).train(tmp_path)
    assert (outcome.status, outcome.steps) == ("completed", 25)  # the best at the third validation, two more
    assert outcome.metrics["val/error"] == {"final": 0.0, "best": 0.0, "best_step": 15}
    assert (outcome.metric, outcome.metric_direction) == ("val/error", "min")

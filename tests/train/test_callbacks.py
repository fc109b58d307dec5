"""Callbacks that change weights, batches or rates: the run's records stay true, or the callback is refused by name."""

import json
import logging

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from bakeoff.errors import UserError

from .stops import StopsAfter
from .test_resume import curves, in_pieces

LIGHTNING = "lightning.pytorch.callbacks"
EMA = f"+callbacks.ema={{_target_: {LIGHTNING}.EMAWeightAveraging, decay: 0.9}}"
COMMAND = ("optimizer.lr=0.3", "batch_size=16", "budget.steps=100", "budget.validations=9")


class NotOne:
    pass


class Accumulates(pl.Callback):
    """Sets what Lightning's own callback for it sets."""

    def on_train_epoch_start(self, trainer, pl_module):
        trainer.accumulate_grad_batches = 4


class AccumulatesLater(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.accumulate_grad_batches = 3 if batch_idx == 5 else 1


class Average(pl.Callback):
    """An average of one's own: in the module for a validation, and out of it when the validation is over."""

    def __init__(self, start="on_validation_start", end="on_validation_end"):
        self.average = self.kept = None
        setattr(self, start, self.put_in)
        setattr(self, end, self.take_out)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        now = [p.detach().clone() for p in pl_module.net.parameters()]
        before = self.average or now
        self.average = [0.9 * a + 0.1 * b for a, b in zip(before, now, strict=True)]

    def put_in(self, trainer, pl_module):
        self.kept = [p.detach().clone() for p in pl_module.net.parameters()]
        _set(pl_module.net, self.average)

    def take_out(self, trainer, pl_module):
        _set(pl_module.net, self.kept)

    def state_dict(self):
        return {"average": self.average}

    def load_state_dict(self, state_dict):
        self.average = state_dict["average"]


def _set(net, values):
    with torch.no_grad():
        for p, value in zip(net.parameters(), values, strict=True):
            p.copy_(value)


def weights(file):
    return torch.load(file, weights_only=True)["state_dict"]


def accuracy(file, run):
    """Of the weights in a checkpoint, by plain torch."""
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    )  # fmt: skip
    net.load_state_dict({name.removeprefix("net."): value for name, value in weights(file).items()})
    x, y = run.parts.data.arrays.val
    with torch.no_grad():
        return (net(x).argmax(1) == y).double().mean().item()


AVERAGES = {
    "Lightning's": EMA,
    "start to end": f"+callbacks.mine._target_={__name__}.Average",
    "epoch start to epoch end": f"+callbacks.mine={{_target_: {__name__}.Average, start: on_validation_epoch_start, "
    "end: on_validation_epoch_end}",
}


@pytest.mark.parametrize("average", AVERAGES.values(), ids=AVERAGES)
def test_the_best_checkpoint_scores_what_is_recorded(make_run, tmp_path, average):
    run = make_run(*COMMAND, average)
    assert run.train(tmp_path).status == "completed"
    recorded = json.loads((tmp_path / "outcome.json").read_text())["metrics"]["val/accuracy"]
    assert accuracy(tmp_path / "checkpoints" / "best.ckpt", run) == pytest.approx(recorded["best"], abs=1e-6)
    plain = make_run(*COMMAND).train(tmp_path / "plain")
    assert plain.metrics["val/accuracy"] != recorded  # it was the average that was validated


def test_the_last_checkpoint_of_lightnings_average_scores_what_is_recorded(make_run, tmp_path):
    run = make_run(*COMMAND, EMA)
    final = run.train(tmp_path).metrics["val/accuracy"]["final"]
    assert accuracy(tmp_path / "checkpoints" / "last.ckpt", run) == pytest.approx(final, abs=1e-6)


RESUMED = {
    "ema": EMA,
    "swa by epoch": f"+callbacks.ema={{_target_: {LIGHTNING}.EMAWeightAveraging, update_starting_at_epoch: 0, "
    "update_every_n_steps: 5}",
    "own": AVERAGES["start to end"],
}


@pytest.mark.parametrize("average", RESUMED.values(), ids=RESUMED)
def test_an_average_resumes_to_the_bit(make_run, tmp_path, average):
    command = ("batch_size=128", "budget.epochs=4", "budget.validations=3", average)
    whole = make_run(*command).train(tmp_path / "whole")
    pieces, attempts = in_pieces(make_run, tmp_path / "pieces", command, 4)
    assert attempts > 3
    assert pieces.metrics == whole.metrics
    assert curves(tmp_path / "pieces") == curves(tmp_path / "whole")
    for name in ("last", "best"):
        one, other = (
            torch.load(tmp_path / f"{r}/checkpoints/{name}.ckpt", weights_only=True) for r in ("whole", "pieces")
        )
        assert all(torch.equal(other["state_dict"][key], value) for key, value in one["state_dict"].items())


class Forgetful(Average):
    """Cannot resume, as most averages of one's own, at first."""

    state_dict, load_state_dict = pl.Callback.state_dict, pl.Callback.load_state_dict


def test_an_average_that_no_checkpoint_holds_starts_anew(make_run, tmp_path, caplog):
    command = ("budget.steps=30", "budget.validations=3", "checkpoint_every=0")
    forgetful = f"+callbacks.mine._target_={__name__}.Forgetful"
    whole = make_run(*command, forgetful).train(tmp_path / "whole")
    assert (tmp_path / "whole" / "checkpoints" / "last.ckpt").exists()
    make_run(*command, forgetful).train(tmp_path / "run", stop=StopsAfter(15))
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        assert make_run(*command, forgetful).train(tmp_path / "run", stop=StopsAfter(15)).steps == 15
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "no state_dict" in line] == [
        "callbacks: Forgetful keeps tensors and has no state_dict; give it state_dict() and load_state_dict(), "
        "which may be empty; without it the run starts anew if it is interrupted"
    ]
    assert make_run(*command, forgetful).train(tmp_path / "run").metrics == whole.metrics
    scores = accuracy(tmp_path / "run" / "checkpoints" / "best.ckpt", make_run(*command))
    assert scores == pytest.approx(whole.metrics["val/accuracy"]["best"], abs=1e-6)


REFUSED = {
    "GradientAccumulationScheduler": (
        "{_target_: %s, scheduling: {0: 4}}",
        "give trainer.accumulate_grad_batches=... instead$",
    ),
    "StochasticWeightAveraging": (
        "{_target_: %s, swa_lrs: 0.1}",
        "use lightning.pytorch.callbacks.Weight",
    ),
    "BatchSizeFinder": ("{_target_: %s}", "give batch_size=... instead$"),
    "LearningRateFinder": ("{_target_: %s}", "sweep over optimizer.lr=... instead$"),
    "ModelPruning": ("{_target_: %s, pruning_fn: l1_unstructured}", "prune in the net$"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_make_the_records_untrue_is_refused_by_name(make_run, name):
    node, remedy = REFUSED[name]
    with pytest.raises(UserError, match=rf"^callbacks\.mine: {name} .*{remedy}"):
        make_run(f"+callbacks.mine={node % f'{LIGHTNING}.{name}'}")


def test_what_is_no_callback_is_refused(make_run):
    with pytest.raises(UserError, match=r"^callbacks\.mine: NotOne is not a lightning\.pytorch\.Callback"):
        make_run(f"+callbacks.mine._target_={__name__}.NotOne")


class LogsToo(pl.Callback):
    """Logs a value by a name that is taken."""

    def __init__(self, split):
        setattr(self, f"on_{'validation' if split == 'val' else split}_epoch_end", self.log_it)
        self.split = split

    def log_it(self, trainer, pl_module):
        pl_module.log(f"{self.split}/accuracy", 0.123)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_callback_that_logs_by_a_name_that_is_taken(make_run, tmp_path, split):
    command = (f"+callbacks.mine={{_target_: {__name__}.LogsToo, split: {split}}}", "budget.steps=5")
    outcome = make_run(*command).train(tmp_path)
    message = f"callbacks: one of them logs {split}/accuracy as well, which is measured already: use another name"
    assert (outcome.status, outcome.error["message"]) == ("failed", message)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"], ids=["our loop", "Lightning's loop"])
@pytest.mark.parametrize(("kind", "batches"), [("Accumulates", 4), ("AccumulatesLater", 3)])
def test_a_callback_that_accumulates_ends_the_run_with_one_line(make_run, tmp_path, kind, batches, precision):
    command = (f"+callbacks.mine._target_={__name__}.{kind}", "budget.steps=6", f"trainer.precision={precision}")
    outcome = make_run(*command).train(tmp_path)
    assert outcome.status == "failed"
    key = "trainer.accumulate_grad_batches"
    assert outcome.error["message"] == f"callbacks: one of them sets {key}={batches}; give {key}=... instead"

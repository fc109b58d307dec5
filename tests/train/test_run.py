"""One run from configuration to outcome: what is recorded, that it repeats, and that arms are compared fairly."""

import json
import math

import pytest
import torch
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from bakeoff.runs import objective


def weights(run):
    return [p.detach().clone() for p in run.parts.net.parameters()]


def metrics(outcome):
    return json.dumps(outcome.metrics, sort_keys=True)


def test_the_record_of_a_completed_run(make_run, tmp_path):
    outcome = make_run("optimizer=adam", "batch_size=64", "budget.epochs=3", "seed=5").train(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert (record["status"], record["seed"], record["error"]) == ("completed", 5, None)
    assert record["arm"]["optimizer"] == "adam"
    assert (record["steps"], record["epochs"], record["samples"]) == (51, 3.0, 3 * 1077)
    assert (record["device"], record["threads"]) == ("cpu", 1)
    assert set(record["metrics"]["val/accuracy"]) == {"final", "best", "best_step"}
    assert set(record["metrics"]["test/accuracy"]) == {"final"}
    assert {"val/nll", "val/ece", "val/top5", "val/loss", "test/nll", "train/loss"} <= set(record["metrics"])
    assert record["metrics"]["val/accuracy"]["final"] > 0.5
    assert objective(outcome, "val/accuracy", "max") == record["metrics"]["val/accuracy"]["final"]
    assert {"torch", "lightning", "bakeoff", "python"} <= set(record["versions"])


def test_final_and_best_are_those_of_the_curve(make_run, tmp_path):
    make_run("optimizer=adam", "optimizer.lr=0.03", "budget.steps=60", "budget.validations=12").train(tmp_path)
    entry = json.loads((tmp_path / "outcome.json").read_text())["metrics"]["val/accuracy"]
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    curve = [(e.value, e.step) for e in events.Scalars("val/accuracy")]
    assert [step for _, step in curve] == list(range(5, 61, 5))
    assert entry["final"] == pytest.approx(curve[-1][0])
    best = max(value for value, _ in curve)
    assert (entry["best"], entry["best_step"]) == (pytest.approx(best), next(s for v, s in curve if v == best))


@pytest.mark.parametrize("batch_size", ["1", "16", "full"])
def test_the_same_command_gives_bit_equal_metrics(make_run, tmp_path, batch_size):
    command = ("optimizer=rmsprop", f"batch_size={batch_size}", "budget.steps=40", "schedule=cosine")
    first, second = make_run(*command).train(tmp_path / "a"), make_run(*command).train(tmp_path / "b")
    assert metrics(first) == metrics(second)
    assert first.identity == second.identity


def test_seed_zero_is_a_seed_like_any_other(make_run):
    torch.manual_seed(99)
    zero = weights(make_run("seed=0"))
    torch.manual_seed(7)
    assert all(torch.equal(a, b) for a, b in zip(zero, weights(make_run("seed=0")), strict=True))
    assert not torch.equal(zero[0], weights(make_run("seed=1"))[0])


def batches(run):
    return [x.clone() for x, _ in run.parts.data.train_dataloader()]


def test_arms_of_a_seed_start_alike_and_see_the_same_batches(make_run):
    one, two = make_run("optimizer=sgd", "loss=mse"), make_run("optimizer=adam", "loss=hinge")
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(batches(one), batches(two), strict=True))
    other = make_run("optimizer=sgd", "loss=mse", "seed=1")
    assert not torch.equal(batches(one)[0], batches(other)[0])


def test_a_diverged_run_is_a_result(make_run, tmp_path):
    outcome = make_run("loss=mse", "optimizer.lr=1e6", "budget.steps=300").train(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert record["status"] == "diverged"
    assert 1 <= record["error"]["step"] <= 50
    assert "became non-finite at step" in record["error"]["message"]
    assert record["metrics"]["val/accuracy"]["final"] is None
    assert "test/accuracy" not in record["metrics"]
    assert objective(outcome, "val/accuracy", "max") == -math.inf
    assert objective(outcome, "val/nll", "min") == math.inf


class FailsAtStep(nn.Module):
    calls = 0

    def __init__(self, *, n_in, n_out, step):
        super().__init__()
        self.net, self.step = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out)), step

    def forward(self, x):
        if self.training:
            self.calls += 1
            if self.calls == self.step:
                raise RuntimeError("the user's own mistake")
        return self.net(x)


def test_an_exception_in_a_users_net_is_recorded(make_run, tmp_path):
    make_run(f"model._target_={__name__}.FailsAtStep", "+model.step=30", "budget.steps=100").train(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert record["status"] == "failed"
    assert record["error"]["message"] == "the user's own mistake"
    assert (record["error"]["step"], record["steps"]) == (30, 29)
    assert "in forward" in record["error"]["traceback"]


class Interrupts(FailsAtStep):
    def forward(self, x):
        try:
            return super().forward(x)
        except RuntimeError:
            raise KeyboardInterrupt from None


def test_ctrl_c_is_recorded(make_run, tmp_path):
    run = make_run(f"model._target_={__name__}.Interrupts", "+model.step=30", "budget.steps=100")
    assert run.train(tmp_path).status == "interrupted"
    assert json.loads((tmp_path / "outcome.json").read_text())["status"] == "interrupted"


class LooksAtRecord(FailsAtStep):
    def __init__(self, *, n_in, n_out, step, folder):
        super().__init__(n_in=n_in, n_out=n_out, step=step)
        self.path = folder

    def forward(self, x):
        from pathlib import Path

        if self.training and Path(self.path, "outcome.json").exists():  # it is tried before
            assert json.loads((Path(self.path) / "outcome.json").read_text())["status"] == "running"
        return self.net(x)


def test_the_record_is_there_from_the_start(make_run, tmp_path):
    target = f"model._target_={__name__}.LooksAtRecord"
    outcome = make_run(target, "+model.step=0", f"+model.folder='{tmp_path}'", "budget.steps=3").train(tmp_path)
    assert outcome.status == "completed", outcome.error


def test_a_run_replaces_what_an_earlier_one_left(make_run, tmp_path):
    for _ in range(2):
        make_run("budget.steps=5").train(tmp_path)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_identity_is_of_what_decides_the_result(make_run, tmp_path):
    def identity(*overrides):
        return make_run("budget.steps=1", *overrides).train(tmp_path).identity

    base = identity()
    assert identity("sweep=other", "trainer.log_every_n_steps=3", "metric=val/nll", "budget.epochs=null") == base
    others = [
        identity(o)
        for o in ("seed=1", "optimizer.lr=0.2", "loss=mse", "batch_size=64", "model.widths=[8]", "data.split_seed=1",
                  "clip.norm=1.0", "schedule=cosine", "trainer.precision=bf16-true")
    ]  # fmt: skip
    assert len({base, *others}) == 10


@pytest.mark.parametrize("clip", ["clip.norm=1e-3", "clip.value=1e-4"])
def test_clipping_limits_the_update(make_run, tmp_path, clip):
    run = make_run(clip, "optimizer.lr=1.0", "budget.steps=1", "batch_size=full")
    before = weights(run)
    run.train(tmp_path)
    change = torch.cat([(a - b).flatten() for a, b in zip(before, weights(run), strict=True)])
    limit, value = float(clip.split("=")[1]), change.norm() if "norm" in clip else change.abs().max()
    assert float(value) == pytest.approx(limit, rel=1e-3)


def test_early_stopping_ends_before_the_budget(make_run, tmp_path):
    command = ("early_stopping.patience=2", "early_stopping.min_delta=1.0", "budget.steps=200", "budget.validations=20")
    outcome = make_run(*command).train(tmp_path)
    assert (outcome.status, outcome.steps) == ("completed", 30)


def test_regression_is_measured_and_ranked_by_rmse(make_run, tmp_path):
    run = make_run("data=diabetes", "loss=huber", "optimizer=adam", "optimizer.lr=0.01", "budget.epochs=30")
    outcome = run.train(tmp_path)
    assert run.metric == "val/rmse"
    assert 40 < outcome.metrics["val/rmse"]["final"] < 80  # the target's deviation is 77
    assert {"val/mae", "val/r2", "test/rmse"} <= set(outcome.metrics)


def test_a_users_callback_sees_every_batch(make_run, tmp_path):
    run = make_run(f"+callbacks.mine._target_={__name__}.CountBatches", "budget.steps=23")
    run.train(tmp_path)
    assert run.callbacks[0].seen == 23


class CountBatches(Callback):
    def __init__(self):
        self.seen = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        assert len(batch) == 2
        self.seen += 1


class ClosedOutput(FailsAtStep):
    def forward(self, x):
        try:
            return super().forward(x)
        except RuntimeError as error:
            raise BrokenPipeError(32, "Broken pipe") from error


def test_a_run_whose_output_is_closed_is_interrupted(make_run, tmp_path):
    """As by `bakeoff | head`: the same command resumes it."""
    outcome = make_run(f"model._target_={__name__}.ClosedOutput", "+model.step=30", "budget.steps=100").train(tmp_path)
    assert outcome.status == "interrupted"
    assert outcome.error["message"] == "what it printed to was closed"

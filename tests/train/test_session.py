"""A run's session knows no loop: here two runs share a plain PyTorch loop, without a `Trainer`."""

import json

import pytest
import torch

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves
from bakeoff.runs import Outcome
from bakeoff.train import RunSession, train_solo
from bakeoff.train.run_state import RunState

from .stops import StopsAfter

STEPS, EVERY = 12, 4


class PlainRun:
    """One run in a loop that others share."""

    def __init__(self, run, folder, **options):
        self.session = RunSession(run.run, folder, **options)
        parts = run.parts
        self.net, self.loss = parts.net, parts.loss
        self.optimizer = parts.optimizer(parts.net.parameters())
        self.x, self.y = next(iter(parts.data.train_dataloader()))
        self.step = 0
        state = self.session.open()
        self.session.start()
        if state is not None:
            self.net.load_state_dict(state.weights)
            self.optimizer.load_state_dict(state.optimizers[0])
            self.step = state.step
        self.session.budget.start()
        self.session.training_started()

    def state(self):
        weights = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        return RunState(self.step, 0, self.step, weights, [self.optimizer.state_dict()], [], None)

    def advance(self):
        """One step; False if the run stops here."""
        self.optimizer.zero_grad()
        loss = self.loss(self.net(self.x), self.y).mean()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        self.session.stepped(self.step)
        self.session.points(self.step, {"train/loss": loss.item()})
        if self.step % EVERY == 0:
            self.validate()
        return self.step == STEPS or self.session.boundary(self.state)

    def validate(self):
        self.session.validation_started()
        with torch.no_grad():
            output = self.net(self.x)
        self.session.validation_batch((self.x, self.y), output)
        metrics = {"val/accuracy": (output.argmax(1) == self.y).float().mean().item()}
        self.session.points(self.step, metrics)
        self.session.validated(metrics, self.net.state_dict)


def made(make_run, *command):
    return make_run("batch_size=full", f"budget.steps={STEPS}", "budget.validations=3", *command)


def finish(run):
    run.session.save_final(run.state)
    return run.session.close("completed")


def test_two_runs_share_a_loop_and_one_stops(make_run, tmp_path):
    one = PlainRun(made(make_run, "optimizer=adam"), tmp_path / "a" / "seed=0")
    two = PlainRun(made(make_run, "optimizer=sgd"), tmp_path / "b" / "seed=0", stop=StopsAfter(5))
    running = [one, two]
    for _ in range(STEPS):
        running = [run for run in running if run.advance()]
    assert running == [one]
    assert two.session.close("interrupted").status == "interrupted"
    assert finish(one).status == "completed"
    assert (Outcome.read(one.session.folder).steps, Outcome.read(two.session.folder).steps) == (STEPS, 5)

    # resumed, in a loop of its own, it ends as if it had never stopped
    resumed = PlainRun(made(make_run, "optimizer=sgd"), two.session.folder)
    assert resumed.step == 5
    while resumed.step < STEPS:
        assert resumed.advance()
    whole = PlainRun(made(make_run, "optimizer=sgd"), tmp_path / "c" / "seed=0")
    while whole.step < STEPS:
        assert whole.advance()
    found, expected = finish(resumed), finish(whole)
    assert found.metrics == expected.metrics
    assert all(torch.equal(a, b) for a, b in zip(resumed.net.parameters(), whole.net.parameters(), strict=True))
    curves = [read_curves(run.session.folder) for run in (resumed, whole)]
    for tag in ("train/loss", "val/accuracy", "axis/samples", "axis/epochs"):
        assert curves[0][tag].steps.tolist() == curves[1][tag].steps.tolist()
        assert curves[0][tag].values.tolist() == curves[1][tag].values.tolist()
    assert b"confusion" in next(iter(sorted(whole.session.folder.glob("events.*")))).read_bytes()


def test_a_session_that_has_lost_its_lease_writes_neither_outcome_nor_checkpoint(make_run, tmp_path):
    held = [True]
    run = PlainRun(made(make_run, "checkpoint_every=0"), tmp_path, is_held=lambda: held[0])
    assert run.advance()
    held[0], run.session._checkpoints._due = False, 0.0
    before = (tmp_path / "outcome.json").read_bytes()
    checkpoint = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    assert not run.advance()
    run.session.close("interrupted")
    assert (tmp_path / "outcome.json").read_bytes() == before
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == checkpoint


def test_a_metric_that_nobody_logs_is_refused_at_the_first_validation(make_run, tmp_path):
    command = ("metric=val/mine", "metric_direction=max", "budget.steps=20")
    outcome = make_run(*command).train(tmp_path)
    assert outcome.status == "failed"
    assert outcome.error["message"].startswith("metric=val/mine: nothing logs it; the validation logged val/accuracy, ")
    assert json.loads((tmp_path / "outcome.json").read_text())["steps"] == 1


def test_an_event_file_that_cannot_be_started_is_recorded(make_run, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    session = RunSession(made(make_run).run, tmp_path)
    monkeypatch.setattr(session._events, "start", refuse)
    outcome = train_solo(session)
    assert (outcome.status, Outcome.read(tmp_path).status) == ("interrupted", "interrupted")
    assert "No space left" in outcome.error["message"]


def test_the_direction_of_a_users_metric_is_asked_for(make_run):
    with pytest.raises(UserError, match=r"unknown metric val/mine.*say metric_direction=min or metric_direction=max"):
        make_run("metric=val/mine")
    with pytest.raises(UserError, match="metric_direction=min, but val/accuracy is better when it is large"):
        make_run("metric_direction=min")
    run = make_run("metric=val/mine", "metric_direction=min")
    assert (run.metric, run.direction) == ("val/mine", "min")

"""Runs on several devices: two processes on the CPU, by gloo, that train as one process does."""

import os
import re
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves
from bakeoff.train import RunSession, train

from .devices import POINTS, STEPS, Points, on, other_processes
from .stops import StopsAfter

CASES = {
    "classification": ("model=mlp", "optimizer=adam", "clip.norm=0.5", "schedule=cosine"),
    "regression": ("data=diabetes", "loss=mse", "metric=val/rmse", "optimizer.lr=0.01"),
    "a dataset": (f"data._target_={POINTS}", "optimizer.momentum=0.9"),
    "labels that are ignored": (
        f"data._target_={__name__}.Sequences",
        f"model._target_={__name__}.Tagger",
        "loss._target_=torch.nn.CrossEntropyLoss",
        "metrics=[f1]",
    ),
    "full batch": ("batch_size=full", "optimizer=adam"),
}


class Sequences(Dataset):
    """Tokens of which none to all but one are not to be counted."""

    num_classes = 3

    def __len__(self):
        return 100

    def __getitem__(self, i):
        tokens = torch.randint(0, 3, (6,), generator=torch.Generator().manual_seed(i))
        labels = tokens.roll(1)
        labels[: i % 6] = -100
        return tokens, labels


class Tagger(torch.nn.Sequential):
    def __init__(self, n_out):
        super().__init__(torch.nn.Embedding(3, 4), torch.nn.Linear(4, n_out))


@pytest.fixture(autouse=True)
def other_processes_find_this_module(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.mark.parametrize("command", CASES.values(), ids=CASES)
def test_two_processes_give_the_numbers_of_one_with_twice_the_batch(make_run, tmp_path, command):
    sizes = ((), ()) if "batch_size=full" in command else (("batch_size=32",), ("batch_size=16",))
    one = on(1, make_run, tmp_path / "one", *command, *sizes[0])
    two = on(2, make_run, tmp_path / "two", *command, *sizes[1])
    assert (one.status, two.status, two.error) == ("completed", "completed", None)
    assert (two.steps, two.samples, two.epochs) == (one.steps, one.samples, one.epochs)
    assert set(two.metrics) == set(one.metrics)
    for name, entry in one.metrics.items():
        assert two.metrics[name]["final"] == pytest.approx(entry["final"], rel=1e-6, abs=1e-6), name
    curves = [read_curves(tmp_path / folder) for folder in ("one", "two")]
    assert {"train/loss", "lr", "grad/norm"} <= set(curves[1])
    for name in set(curves[0]) & set(curves[1]):
        if name.startswith(("train/", "val/", "lr", "axis/samples", "grad/norm")):
            assert curves[1][name].values == pytest.approx(curves[0][name].values, rel=1e-5, abs=1e-6), name
    weights = [
        torch.load(tmp_path / folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in ("one", "two")
    ]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-5, atol=1e-6)


class FailsElsewhere(torch.nn.Sequential):
    """A net that fails in its third step, in the second process alone."""

    def __init__(self, n_in, n_out, how="raises"):
        if os.environ.get("BAKEOFF_TEST_OF_SEVERAL") == "fails":
            raise ValueError("the second process cannot build it")
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.how, self.steps = how, 0

    def forward(self, x):
        self.steps += self.training
        if self.steps == 3 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            if self.how == "dies":
                os._exit(7)
            if self.how == "memory":
                raise torch.OutOfMemoryError("CUDA out of memory")
            raise ValueError("the second process has failed")
        return super().forward(x)


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("raises", "ValueError", "the second process has failed"),
        ("dies", "ProcessDied", "process 2 of 2 of the run died, possibly out of memory"),
        ("memory", "OutOfMemory", "out of memory with batch_size=16, although a first step alone fits (CUDA out of"),
    ],
)
def test_the_failure_of_another_process_is_the_runs(make_run, tmp_path, how, kind, message):
    command = (f"model._target_={__name__}.FailsElsewhere", f"+model.how={how}", "batch_size=16")
    outcome = on(2, make_run, tmp_path, *command)
    assert (outcome.status, outcome.error["type"]) == ("failed", kind)
    assert outcome.error["message"].startswith(message)
    assert not torch.distributed.is_initialized()
    assert not other_processes()


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        pytest.param((f"model._target_={__name__}.Drops", "batch_size=32", "optimizer=adam"), (7, 13), id="dropout"),
        pytest.param(
            (f"data._target_={__name__}.Noisy", "batch_size=8"),
            (3, 3),
            id="a dataset that draws",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_run_in_pieces_is_the_run_at_once_to_the_bit(make_run, tmp_path, command, steps):
    whole = on(2, make_run, tmp_path / "whole", *command)
    for number in steps:
        stopped = on(2, make_run, tmp_path / "run", *command, stop=StopsAfter(number))
        assert stopped.status == "interrupted"
        assert not other_processes()
    pieces = on(2, make_run, tmp_path / "run", *command)
    assert stopped.steps > number
    assert (pieces.status, pieces.steps, pieces.metrics) == ("completed", whole.steps, whole.metrics)
    weights = [torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True) for run in ("whole", "run")]
    assert all(torch.equal(weights[1]["state_dict"][name], value) for name, value in weights[0]["state_dict"].items())


class Drops(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, 32), torch.nn.Dropout(), torch.nn.Linear(32, n_out))


class Noisy(Points):
    """Adds noise from the global random numbers, which are others in each process, whenever a sample is read."""

    def __init__(self):
        super().__init__()
        self.transform, self.val_transform = _with_noise, _as_it_is

    def __getitem__(self, i):
        return self.transform(self.x[i]), int(self.targets[i])


def _with_noise(x):
    return x + 0.1 * torch.randn(5)


def _as_it_is(x):
    return x


def test_parameters_that_a_step_does_not_use(make_run, tmp_path):
    strategy = "trainer.strategy=ddp_find_unused_parameters_true"
    outcome = on(2, make_run, tmp_path, f"model._target_={__name__}.UsesHalf", "batch_size=16", strategy)
    assert (outcome.status, outcome.error) == ("completed", None)


class UsesHalf(torch.nn.Sequential):
    """The first layer is used in training alone by chance, in each process by its own."""

    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Linear(n_in, n_out), torch.nn.Linear(n_in, n_out))

    def forward(self, x):
        return self[int(torch.rand(()) < 0.5) if self.training else 1](x.flatten(1))


def test_the_failure_of_the_first_process_ends_the_others(make_run, tmp_path):
    run = make_run("batch_size=16", *STEPS, "trainer.devices=2").run
    run.parts.net.register_forward_hook(_fails)  # in this process alone: the others build a net of their own
    outcome = train(RunSession(run, tmp_path))
    assert (outcome.status, outcome.error["type"], outcome.error["message"]) == ("failed", "ValueError", "the first")
    assert not other_processes()


def _fails(*_):
    raise ValueError("the first")


def test_another_process_that_cannot_build_the_run_says_why(make_run, tmp_path, monkeypatch):
    run = make_run("batch_size=16", *STEPS, "trainer.devices=2", f"model._target_={__name__}.FailsElsewhere").run
    monkeypatch.setenv("BAKEOFF_TEST_OF_SEVERAL", "fails")
    outcome = train(RunSession(run, tmp_path))
    assert (outcome.status, outcome.error["type"]) == ("failed", "UserError")
    assert "the second process cannot build it" in outcome.error["message"]


def test_one_process_diverges_for_all(make_run, tmp_path):
    outcome = on(2, make_run, tmp_path, f"model._target_={__name__}.NotANumberElsewhere", "batch_size=16")
    assert (outcome.status, outcome.error["message"]) == (
        "diverged",
        "an output in validation became non-finite at step 34",
    )


class NotANumberElsewhere(FailsElsewhere):
    """The second process alone finds NaN in its part of the validation."""

    def forward(self, x):
        output = self[1](self[0](x))
        if not self.training and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            return output * torch.nan
        return output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("trainer.devices=0",), "trainer.devices must be a whole number >= 1, got 0"),
        (
            ("trainer.strategy=fsdpp",),
            "trainer.strategy must be auto, ddp, ddp_find_unused_parameters_true or fsdp, got fsdpp (did you mean",
        ),
        (("budget.seconds=1",), "trainer.devices=2: each process has its own clock; give budget.epochs, "),
        (
            (f"model._target_={__name__}.Normalized",),
            "trainer.devices=2: BatchNorm would average over a part of each batch; use GroupNorm",
        ),
        (("batch_size=538",), "trainer.devices=2: the last batch of an epoch has 1 samples, fewer than devices"),
    ],
)
def test_what_cannot_be_trained_on_several_devices_is_refused(make_run, command, message):
    with pytest.raises(UserError, match=re.escape(message)):
        make_run("trainer.devices=2", *command)


def test_the_same_run_is_known_by_its_devices_alone_where_there_are_several(make_run):
    one, two = make_run("batch_size=16"), make_run("batch_size=16", "trainer.devices=2")
    assert one.identity != two.identity
    assert make_run("batch_size=16", "trainer.strategy=ddp").identity == one.identity
    assert two.hyperparameters["trainer.devices"] == 2
    assert (one.hyperparameters["samples_per_step"], two.hyperparameters["samples_per_step"]) == (16, 32)
    assert "trainer.devices" not in one.hyperparameters


class Normalized(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Flatten(), torch.nn.BatchNorm1d(n_in), torch.nn.Linear(n_in, n_out))

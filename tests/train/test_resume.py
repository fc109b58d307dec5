"""A run that is stopped and resumed, however often, ends with the bits of an undisturbed one."""

import json
import logging
import shutil

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import timer
from torch import nn
from torch.utils.data import DataLoader, Dataset

from bakeoff.report.curves import read_curves
from bakeoff.train import budget

from .stops import StopsAfter

CASES = {
    "mini-batches": ("batch_size=128", "budget.epochs=3"),
    "full batch": ("batch_size=full", "budget.steps=22", "optimizer=adam"),
    "schedule": ("batch_size=64", "budget.steps=40", "optimizer=rmsprop", "schedule=warmup_cosine"),
    "clipping, momentum": ("budget.steps=30", "optimizer.momentum=0.9", "clip.norm=0.1"),
    "stops early": ("budget.steps=400", "optimizer.lr=0.3", "early_stopping.patience=2", "budget.validations=60"),
    "diverges": ("loss=mse", "optimizer.lr=1e30", "budget.steps=120"),
    "regression": ("data=diabetes", "loss=huber", "optimizer=adamw", "budget.epochs=4", "batch_size=50"),
    "dropout": (f"model._target_={__name__}.Dropout", "budget.epochs=3"),
    "histograms": ("log=full", "budget.steps=30"),
    "bfloat16": ("trainer.precision=bf16-mixed", "budget.steps=25"),  # through Lightning's own loop
    "torch's scheduler": (
        "schedule._target_=torch.optim.lr_scheduler.OneCycleLR",
        *("+schedule.max_lr=0.3", "+schedule.total_steps=25", "optimizer.momentum=0.9", "budget.steps=25"),
    ),
    "accumulation": ("trainer.accumulate_grad_batches=4", "budget.steps=22", "budget.validations=5", "schedule=linear"),
    "a dataset that draws": (f"data._target_={__name__}.Noisy", "budget.epochs=5", "batch_size=16"),
    "a dataset read by processes": (
        f"data._target_={__name__}.Noisy",
        "+data.num_workers=2",
        "budget.epochs=5",
        "batch_size=16",
    ),
    "a data module that shuffles": (f"data._target_={__name__}.Shuffles", "budget.epochs=5", "batch_size=16"),
    "groups of parameters": ("param_groups=no_decay", "optimizer=adamw", "budget.steps=22", "schedule=cosine"),
    "muon": ("optimizer=muon", "optimizer.muon.lr=0.02", "budget.steps=22", "schedule=wsd", "clip.norm=0.5"),
    "scheduled weight decay and momentum": (
        *("optimizer.momentum=0.9", "optimizer.weight_decay=0.1", "schedule=cosine", "budget.steps=25"),
        "schedules.weight_decay._target_=bakeoff.schedules.cosine",
        "schedules.momentum._target_=bakeoff.schedules.warmup_cosine",
    ),
    "torch's optimizer": ("optimizer=torch_adam", "budget.steps=25"),
}


# Those that differ in how they are resumed stop after each seventh step; the long tests stop all after every step.
FAST = {
    "mini-batches",
    "schedule",
    "dropout",
    "bfloat16",
    "accumulation",
    "scheduled weight decay and momentum",
    "torch's scheduler",
    "groups of parameters",
    "muon",
    "a dataset read by processes",
    "a data module that shuffles",
}
PIECES = [
    pytest.param(command, steps, id=f"{name}-{steps}", marks=[pytest.mark.long] if long else [])
    for name, command in CASES.items()
    for steps, long in ((1, True), (7, name not in FAST))
]


class Dropout(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Flatten(), nn.Linear(n_in, 32), nn.Dropout(0.5), nn.BatchNorm1d(32), nn.Linear(32, n_out))


class Noisy(Dataset):
    """Adds noise from the global random numbers whenever a training sample is read."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(100, 5, generator=generator)
        self.targets = (self.x.sum(1) > 0).long()
        self.transform, self.val_transform = _with_noise, _as_it_is

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.transform(self.x[i]), int(self.targets[i])


def _with_noise(x):
    return x + 0.1 * torch.randn(5)


def _as_it_is(x):
    return x


class Shuffles(pl.LightningDataModule):
    """An order that depends on the global random numbers, as DataLoader's own does."""

    num_classes = 2

    def __init__(self):
        super().__init__()
        self.batch_size = 1

    def train_dataloader(self):
        return DataLoader(Noisy(), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(Noisy(), batch_size=50)


def in_pieces(make_run, folder, command, steps):
    attempts = 0
    while True:
        attempts += 1
        outcome = make_run(*command).train(folder, stop=StopsAfter(steps))
        if outcome.status != "interrupted":
            return outcome, attempts
        assert attempts < 500


def curves(folder):
    kept = {tag: curve for tag, curve in read_curves(folder).items() if not tag.startswith(("time/", "axis/seconds"))}
    return {tag: (curve.steps.tolist(), [str(value) for value in curve.values]) for tag, curve in kept.items()}


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize(("command", "steps"), PIECES)
def test_a_run_in_pieces_is_the_run_at_once(make_run, tmp_path, command, steps):
    if steps == 1 and "budget.steps=400" in command:
        steps = 3
    whole = make_run(*command).train(tmp_path / "whole")
    pieces, attempts = in_pieces(make_run, tmp_path / "pieces", command, steps)
    assert attempts > 2 or whole.steps <= steps
    assert (pieces.status, pieces.steps, pieces.error) == (whole.status, whole.steps, whole.error)
    assert pieces.metrics == whole.metrics
    assert pieces.seconds > 0
    expected = curves(tmp_path / "whole")
    found = curves(tmp_path / "pieces")
    assert {"train/loss", "axis/samples"} <= set(expected)
    assert found == expected
    if whole.status == "completed":
        expected, found = weights(tmp_path / "whole"), weights(tmp_path / "pieces")
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        best = [torch.load(tmp_path / f"{run}/checkpoints/best.ckpt", weights_only=True) for run in ("whole", "pieces")]
        assert best[0]["step"] == best[1]["step"]
        assert all(torch.equal(best[1]["state_dict"][k], v) for k, v in best[0]["state_dict"].items())


def stopped(make_run, folder, command, steps):
    assert make_run(*command).train(folder, stop=StopsAfter(steps)).status == "interrupted"


COMMAND = ("budget.steps=40", "batch_size=64", "optimizer=adam")


def test_a_stopped_run_is_recorded_and_costs_no_step(make_run, tmp_path):
    stopped(make_run, tmp_path, COMMAND, 13)
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["step"] == 13
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert (record["status"], record["steps"]) == ("interrupted", 13)


@pytest.mark.parametrize(
    "damage", ["cut", *(pytest.param(how, marks=pytest.mark.long) for how in ("a flipped byte", "empty", "no archive"))]
)
@pytest.mark.parametrize("both", [False, True], ids=["last", "last and previous"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(make_run, tmp_path, caplog, damage, both):
    whole = make_run(*COMMAND).train(tmp_path / "whole")
    folder = tmp_path / "run"
    stopped(make_run, folder, COMMAND, 10)
    stopped(make_run, folder, COMMAND, 10)
    for name in ("last", "previous") if both else ("last",):
        path = folder / "checkpoints" / f"{name}.ckpt"
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle] ^= 0xFF
        spoilt = {"cut": content[:middle], "a flipped byte": content, "empty": b"", "no archive": b"nonsense"}
        path.write_bytes(bytes(spoilt[damage]))
    with caplog.at_level(logging.WARNING):
        outcome = make_run(*COMMAND).train(folder)
    assert outcome.metrics == whole.metrics
    assert "is damaged" in caplog.text
    assert (folder / "checkpoints" / "last.ckpt.damaged").exists()
    assert not (folder / "checkpoints" / "previous.ckpt").exists()


def test_the_checkpoint_of_another_run_is_not_used(make_run, tmp_path):
    stopped(make_run, tmp_path, COMMAND, 10)
    other = make_run(*COMMAND, "optimizer.lr=0.5").train(tmp_path)
    assert other.metrics == make_run(*COMMAND, "optimizer.lr=0.5").train(tmp_path / "alone").metrics


@pytest.mark.parametrize(
    ("mode", "kept"),
    [("none", None), ("last", {"last.ckpt"}), ("best", {"best.ckpt"}), ("all", {"last.ckpt", "best.ckpt"})],
)
def test_what_is_kept(make_run, tmp_path, mode, kept):
    command = (*COMMAND, f"checkpoints={mode}", "checkpoint_every=0")
    if mode != "none":
        stopped(make_run, tmp_path, command, 10)
        assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    outcome = make_run(*command).train(tmp_path)
    folder = tmp_path / "checkpoints"
    assert ({path.name for path in folder.iterdir()} if folder.exists() else None) == kept
    if kept and "best.ckpt" in kept:
        best = torch.load(folder / "best.ckpt", weights_only=True)
        assert best["step"] == outcome.metrics["val/accuracy"]["best_step"]


def test_killed_between_training_and_test_it_only_tests(make_run, tmp_path, monkeypatch):
    command = ("budget.steps=400", "optimizer.lr=0.3", "early_stopping.patience=2", "budget.validations=60")
    whole = make_run(*command).train(tmp_path / "whole")
    monkeypatch.setattr(pl.Trainer, "test", lambda *_, **__: (_ for _ in ()).throw(SystemExit(1)))
    assert make_run(*command).train(tmp_path / "run").status == "interrupted"
    monkeypatch.undo()
    run = make_run(*command)
    steps = []
    run.callbacks.append(CountSteps(steps))
    outcome = run.train(tmp_path / "run")
    assert (outcome.metrics, outcome.steps) == (whole.metrics, whole.steps)
    assert steps == []
    images = [path.read_bytes() for path in sorted((tmp_path / "run").glob("events.*"))]
    assert any(b"confusion" in content for content in images)


class CountSteps(pl.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, trainer, *_):
        self.steps.append(trainer.global_step)


class Unsafe(pl.Callback):
    def state_dict(self):
        return {"object": Dropout}


def test_a_state_that_cannot_be_read_safely_costs_no_run(make_run, tmp_path, caplog):
    run = make_run(*COMMAND, "checkpoint_every=0")
    run.callbacks.append(Unsafe())
    with caplog.at_level(logging.WARNING):
        assert run.train(tmp_path).status == "completed"
    assert "cannot be loaded with weights_only=True" in caplog.text
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


class HundredthsOfASecond:
    """A clock that has moved on by so much whenever it is asked."""

    now = 0.0

    def monotonic(self):
        self.now += 0.01
        return self.now


def test_a_budget_in_seconds_resumes_where_it_stopped(make_run, tmp_path, monkeypatch):
    clock = HundredthsOfASecond()
    monkeypatch.setattr(budget, "time", clock)
    monkeypatch.setattr(timer, "time", clock)
    command = ("budget.seconds=2", "budget.validations=4")
    at_once = make_run(*command).train(tmp_path / "at once")
    stopped(make_run, tmp_path, command, at_once.steps // 2)
    outcome = make_run(*command).train(tmp_path)
    assert outcome.status == "completed"
    assert 0.9 * at_once.steps < outcome.steps <= at_once.steps
    seconds = read_curves(tmp_path)["axis/seconds"].values
    assert len(seconds) == len(read_curves(tmp_path / "at once")["axis/seconds"].values)


def test_threads_are_those_of_the_beginning(make_run, tmp_path):
    stopped(make_run, tmp_path, (*COMMAND, "trainer.threads=2"), 10)
    outcome = make_run(*COMMAND, "trainer.threads=1").train(tmp_path)
    assert outcome.threads == 2
    assert torch.get_num_threads() == 2


def test_the_weights_load_into_the_net_by_torch_alone(make_run, tmp_path):
    run = make_run(*COMMAND)
    run.train(tmp_path)
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    net = make_run(*COMMAND, "seed=0").parts.net
    net.load_state_dict({k.removeprefix("net."): v for k, v in content["state_dict"].items() if k.startswith("net.")})
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(net(x), run.parts.net(x))
    shutil.rmtree(tmp_path)

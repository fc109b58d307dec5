"""`trainer.strategy=fsdp`: two processes on the CPU, by gloo, with a part of each weight, that train as one does."""

import dataclasses
import os
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.tensor import DTensor

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves
from bakeoff.train.check_fsdp import check_fsdp

from .devices import POINTS, checkpoint, on, other_processes
from .stops import StopsAfter

FSDP = "trainer.strategy=fsdp"
CASES = {
    "classification": ("optimizer=adam", "clip.norm=0.5", "schedule=cosine"),
    "regression": ("data=diabetes", "loss=mse", "metric=val/rmse", "optimizer.lr=0.01", "optimizer.momentum=0.9"),
    "a dataset": (f"data._target_={POINTS}", "optimizer=rmsprop", "clip.value=0.01"),
    "groups": ("optimizer=adamw", "param_groups=no_decay", "optimizer.weight_decay=0.1", "log=full"),
    "full batch": ("batch_size=full", "optimizer._target_=torch.optim.NAdam"),
    "a loss with weights": (f"loss._target_={__name__}.Weighted", "optimizer=adam"),
    "an LSTM": (f"model._target_={__name__}.Recurrent", "optimizer=adam"),
    "tied and frozen weights": (f"model._target_={__name__}.Tied",),
    # not by Adam: a bias of keys has no gradient but for rounding, which Adam makes as large as any
    "attention": (f"model._target_={__name__}.Attention", "optimizer.momentum=0.9"),
    "schedule-free": ("optimizer._target_=schedulefree.AdamWScheduleFree",),
}
QUICK = ("classification", "a loss with weights")


class Weighted(nn.Module):
    """Has a weight of its own, of which the second process has nothing."""

    task = "classification"

    def __init__(self):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(1))

    def forward(self, output, target):
        losses = nn.functional.cross_entropy(output, target, reduction="none")
        return losses * torch.exp(-self.log_variance) + self.log_variance


class Recurrent(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.cells, self.head = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, n_out)

    def forward(self, x):
        return self.head(self.cells(x.reshape(-1, 8, 8))[0][:, -1])


class Tied(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.first, self.second, self.frozen = nn.Linear(n_in, n_in), nn.Linear(n_in, n_in), nn.Linear(n_in, n_in)
        self.second.weight = self.first.weight
        self.frozen.requires_grad_(False)
        self.head = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.head(self.second(self.first(self.frozen(x.flatten(1))).tanh()).tanh())


class Attention(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, n_out)

    def forward(self, x):
        return self.head(self.layers(x.reshape(-1, 8, 8)).mean(1))


@pytest.fixture(autouse=True)
def other_processes_find_this_module(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.mark.parametrize(
    "command", [pytest.param(c, id=n, marks=() if n in QUICK else pytest.mark.long) for n, c in CASES.items()]
)
def test_two_processes_give_the_numbers_of_one_with_twice_the_batch(make_run, tmp_path, command):
    sizes = ((), ()) if "batch_size=full" in command else (("batch_size=32",), ("batch_size=16",))
    one = on(1, make_run, tmp_path / "one", *command, *sizes[0])
    two = on(2, make_run, tmp_path / "two", *command, *sizes[1], FSDP)
    assert (one.status, two.status, two.error) == ("completed", "completed", None)
    assert (two.steps, two.samples, two.epochs) == (one.steps, one.samples, one.epochs)
    assert set(two.metrics) == set(one.metrics)
    for name, entry in one.metrics.items():
        assert two.metrics[name]["final"] == pytest.approx(entry["final"], rel=1e-6, abs=1e-6), name
    curves = [read_curves(tmp_path / folder) for folder in ("one", "two")]
    assert {"train/loss", "lr" if "lr" in curves[0] else "lr/decay", "grad/norm"} <= set(curves[1])
    assert set(curves[0]) == set(curves[1])
    for name in curves[0]:
        if name.startswith(("train/", "val/", "lr", "axis/samples", "grad/norm", "update/ratio")):
            assert curves[1][name].values == pytest.approx(curves[0][name].values, rel=1e-5, abs=1e-6), name
    assert_alike(tmp_path / "one", tmp_path / "two")


def assert_alike(one, two):
    """The checkpoints of two runs have the same form, and the same content but for rounding."""
    for name in ("last", "best"):
        found, expected = checkpoint(two, name), checkpoint(one, name)
        assert set(found) == set(expected)
        torch.testing.assert_close(found["state_dict"], expected["state_dict"], rtol=1e-5, atol=1e-6)
    found, expected = ({"optimizer": checkpoint(run)["optimizers"][0]} for run in (two, one))
    assert form_of(found) == form_of(expected)
    torch.testing.assert_close(found["optimizer"]["state"], expected["optimizer"]["state"], rtol=1e-4, atol=1e-6)


def form_of(tree):
    """What is said of each tensor, and all else."""
    if isinstance(tree, dict):
        return {key: form_of(value) for key, value in tree.items()}
    return (tree.shape, tree.dtype, type(tree)) if isinstance(tree, torch.Tensor) else tree


class KeepsAPart(torch.optim.SGD):
    """Looks at what it is given: a process has some rows of each weight."""

    def step(self, closure=None):
        loss = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parts = torch.ones(len(parameter)).chunk(torch.distributed.get_world_size())
                rows = len(parts[torch.distributed.get_rank()])
                assert len(parameter.to_local()) == len(parameter.grad.to_local()) == rows
                assert parameter.to_local().untyped_storage().nbytes() <= 4 * parameter[0].numel() * (rows + 1)
        return loss


def test_a_process_has_half_of_each_weight_and_begins_with_the_weights_of_a_run_alone(make_run, tmp_path):
    command = (f"optimizer._target_={__name__}.KeepsAPart", "optimizer.lr=0", "model=mlp", "batch_size=16")
    expected = make_run(*command).parts.net.state_dict()
    outcome = on(2, make_run, tmp_path, *command, FSDP)
    assert (outcome.status, outcome.error) == ("completed", None)
    found = checkpoint(tmp_path)["state_dict"]
    assert all(torch.equal(found[f"net.{name}"], value) for name, value in expected.items())


@pytest.mark.parametrize(
    "command",
    [
        pytest.param((f"model._target_={__name__}.Drops", "optimizer=adam"), id="dropout"),
        pytest.param(("optimizer=rmsprop", "model=mlp"), id="rmsprop", marks=pytest.mark.long),
        pytest.param((f"loss._target_={__name__}.Weighted", "optimizer=sgd"), id="a loss", marks=pytest.mark.long),
        pytest.param(("optimizer._target_=torch.optim.AdamW", "clip.norm=1"), id="torch's", marks=pytest.mark.long),
        pytest.param(
            ("optimizer._target_=schedulefree.AdamWScheduleFree",), id="schedule-free", marks=pytest.mark.long
        ),
    ],
)
def test_a_run_in_pieces_is_the_run_at_once_to_the_bit(make_run, tmp_path, command):
    command = (*command, "batch_size=32", FSDP)
    whole = on(2, make_run, tmp_path / "whole", *command)
    assert (whole.status, whole.error) == ("completed", None)
    for number in (7, 13):
        stopped = on(2, make_run, tmp_path / "run", *command, stop=StopsAfter(number))
        assert stopped.status == "interrupted"
        assert not other_processes()
    pieces = on(2, make_run, tmp_path / "run", *command)
    assert stopped.steps > number
    assert (pieces.status, pieces.steps, pieces.metrics) == ("completed", whole.steps, whole.metrics)
    for name in ("last", "best"):
        found, expected = (checkpoint(tmp_path / run, name)["state_dict"] for run in ("run", "whole"))
        assert all(torch.equal(found[name], value) for name, value in expected.items())


class Drops(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Flatten(), nn.Linear(n_in, 33), nn.Dropout(), nn.Linear(33, n_out))


class UsesHalf(nn.Sequential):
    """In training one of two layers is used, in the second process sometimes the other one."""

    def __init__(self, n_in, n_out):
        super().__init__(nn.Linear(n_in, n_out), nn.Linear(n_in, n_out))
        self.steps = 0

    def forward(self, x):
        self.steps += self.training
        is_other = self.steps > 3 and torch.distributed.get_rank() == 1
        return self[1](x.flatten(1)) if is_other else self[0](x.flatten(1)) + 0 * self[1](x.flatten(1))


def test_a_weight_that_one_process_does_not_use_fails(make_run, tmp_path):
    outcome = on(2, make_run, tmp_path, f"model._target_={__name__}.UsesHalf", "batch_size=16", FSDP)
    assert (outcome.status, outcome.error["type"]) == ("failed", "ShardingError")
    assert outcome.error["message"] == (
        "a step must use each of the 4 weights that are trained, this one uses 2; "
        "ddp_find_unused_parameters_true allows it"
    )
    assert not other_processes()


class OneGoesBad(torch.optim.SGD):
    """At step 50, at which weights are looked at, some of those of the second process become NaN."""

    def step(self, closure=None):
        loss = super().step(closure)
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 50 and torch.distributed.get_rank() == 1:
            self.param_groups[0]["params"][0].detach().to_local().fill_(torch.nan)
        return loss


def test_a_weight_that_becomes_nan_in_one_process_ends_all(make_run, tmp_path):
    command = (f"optimizer._target_={__name__}.OneGoesBad", "optimizer.lr=0.01", "batch_size=8")
    outcome = on(2, make_run, tmp_path, *command, FSDP)
    assert outcome.status == "diverged"
    assert outcome.error["message"].endswith("became non-finite at step 50")


class Counts(nn.Module):
    """Has buffers, one of which each process changes by its own part of the data."""

    mean: torch.Tensor

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out)
        self.register_buffer("mean", torch.zeros(n_in))
        self.register_buffer("mask", torch.ones(n_in, dtype=torch.bool))

    def forward(self, x):
        x = x.flatten(1) * self.mask
        if self.training:
            self.mean.lerp_(x.mean(0), 0.1)
        return self.layer(x - self.mean)


@pytest.mark.long
def test_buffers_are_those_of_the_first_process_as_with_ddp(make_run, tmp_path):
    command = (f"model._target_={__name__}.Counts", "batch_size=16")
    ddp, fsdp = (on(2, make_run, tmp_path / s, *command, f"trainer.strategy={s}") for s in ("ddp", "fsdp"))
    assert (ddp.status, fsdp.status, fsdp.error) == ("completed", "completed", None)
    for name, entry in ddp.metrics.items():
        assert fsdp.metrics[name]["final"] == pytest.approx(entry["final"], rel=1e-6, abs=1e-6), name
    assert_alike(tmp_path / "ddp", tmp_path / "fsdp")


@pytest.mark.long
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_half_precision(make_run, tmp_path, precision):
    command = ("model=mlp", "batch_size=16", f"trainer.precision={precision}")
    ddp, fsdp = (on(2, make_run, tmp_path / s, *command, f"trainer.strategy={s}") for s in ("ddp", "fsdp"))
    assert (ddp.status, fsdp.status, fsdp.error) == ("completed", "completed", None)
    assert fsdp.metrics["val/loss"]["final"] == pytest.approx(ddp.metrics["val/loss"]["final"], rel=0.02)
    assert form_of(checkpoint(tmp_path / "fsdp")["state_dict"]) == form_of(checkpoint(tmp_path / "ddp")["state_dict"])


class FailsElsewhere(nn.Sequential):
    """A net that fails in its third step, in the second process alone."""

    def __init__(self, n_in, n_out, how):
        super().__init__(nn.Flatten(), nn.Linear(n_in, n_out))
        self.how, self.steps = how, 0

    def forward(self, x):
        self.steps += self.training
        if self.steps == 3 and torch.distributed.get_rank() == 1:
            if self.how == "dies":
                os._exit(7)
            raise (torch.OutOfMemoryError if self.how == "memory" else ValueError)("CUDA out of memory")
        return super().forward(x)


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("raises", "ValueError", "CUDA out of memory"),
        ("dies", "ProcessDied", "process 2 of 2 of the run died, possibly out of memory"),
        (
            "memory",
            "OutOfMemory",
            "out of memory with batch_size=16; which batch size fits is not known: a step of one",
        ),
    ],
)
def test_the_failure_of_another_process_is_the_runs(make_run, tmp_path, how, kind, message):
    command = (f"model._target_={__name__}.FailsElsewhere", f"+model.how={how}", "batch_size=16")
    outcome = on(2, make_run, tmp_path, *command, FSDP)
    assert (outcome.status, outcome.error["type"]) == ("failed", kind)
    assert outcome.error["message"].startswith(message)
    assert not torch.distributed.is_initialized()
    assert not other_processes()


class HasANumber(Drops):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.scale = nn.Parameter(torch.tensor(1.0))


class HasMore(Drops):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self[1].more = nn.Parameter(torch.ones(1))


class Remembers(Drops):
    """Uses weights that it has kept in a list, which FSDP does not know."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.kept = list(self[1].parameters())

    def forward(self, x):
        return self[3](nn.functional.linear(x.flatten(1), *self.kept))


class RemembersMore(Remembers):
    def forward(self, x):
        return super(Drops, self).forward(x) + self.kept[0].sum()


class Renormalizes(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.words, self.head = nn.Embedding(17, 2, max_norm=1.0), nn.Linear(128, n_out)

    def forward(self, x):
        return self.head(self.words(x.flatten(1).long().clamp(0, 16)).flatten(1))


class HoldsAWeight:
    """A loss that is no module, and so keeps the whole weight."""

    task = "classification"

    def __init__(self):
        self.weight = nn.Parameter(torch.ones(1))

    def __call__(self, output, target):
        return nn.functional.cross_entropy(output, target, reduction="none") * self.weight


class KeepsRows(torch.optim.SGD):
    def step(self, closure=None):
        loss = super().step(closure)
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["rows"] = parameter.detach().sum(dim=-1)
        return loss


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ("trainer.devices=1",),
            "trainer.strategy=fsdp shares out the weights among devices; give trainer.devices=2 or",
        ),
        (
            ("trainer.precision=16-mixed",),
            "trainer.strategy=fsdp: trainer.precision must be 32-true or 32 or bf16-mixed",
        ),
        (("ema.decay=0.9",), "trainer.strategy=fsdp: ema.decay is not supported with it; give trainer.strategy=ddp"),
        (("trainer.compile=true",), "trainer.devices=2: trainer.compile=true is not supported with it"),
        (
            ("model=mlp", "optimizer=muon"),
            "trainer.strategy=fsdp: Muon needs whole matrices; give another trainer.strat",
        ),
        (
            ("optimizer._target_=torch.optim.Adafactor",),
            "trainer.strategy=fsdp: Adafactor cannot update weights that are shared out (aten.pow_.Scalar: in-place",
        ),
        (
            (f"optimizer._target_={__name__}.KeepsRows",),
            "trainer.strategy=fsdp: KeepsRows keeps rows in another shape than that of its weight; give another",
        ),
        (
            (f"model._target_={__name__}.HasANumber",),
            "HasANumber cannot be trained with it (fully_shard doesn't support scalar parameters. Change scale to a 1D",
        ),
        (
            (f"model._target_={__name__}.HasMore",),
            "HasMore cannot be trained with it (a step must use each of the 5 weights that are trained, this one use",
        ),
        (
            (f"model._target_={__name__}.Remembers",),
            "Remembers cannot be trained with it (net.1.weight has got no gradient: it must be used as the attribute",
        ),
        (
            (f"model._target_={__name__}.RemembersMore",),
            "RemembersMore cannot be trained with it (weights are used outside of the net, or not as attributes of",
        ),
        (
            (f"model._target_={__name__}.Renormalizes",),
            "trainer.strategy=fsdp: Embedding words has max_norm, which changes weights that are not kept; give",
        ),
        (
            (f"loss._target_={__name__}.HoldsAWeight",),
            "(loss.held_weight has got no gradient: it must be used as the attribute of its module); give another",
        ),
    ],
)
def test_what_cannot_be_trained_with_it_is_refused(make_run, command, message):
    devices = () if "trainer.devices=1" in command else ("trainer.devices=2",)
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        make_run(*devices, FSDP, "batch_size=16", *command)
    assert "\n" not in str(refused.value)
    assert not torch.distributed.is_initialized()


def test_a_loss_that_reads_the_net_is_refused_and_the_net_left_alone(make_run):
    """In a function: copies of functions share what they hold."""
    run = make_run("trainer.devices=2", "batch_size=16").run
    net = run.parts.net

    def loss(output, target):
        return nn.functional.cross_entropy(output, target) + 0.1 * next(net.parameters()).square().sum()

    parts = dataclasses.replace(run.parts, loss=loss)
    settings = dataclasses.replace(run.settings, trainer=dataclasses.replace(run.settings.trainer, strategy="fsdp"))
    with pytest.raises(UserError, match=r"MLP cannot be trained with it.*used outside of the net"):
        check_fsdp(parts, settings)
    assert all(p.grad is None and not isinstance(p, DTensor) for p in net.parameters())


def test_a_run_is_another_one_with_it(make_run):
    ddp, fsdp = (make_run("trainer.devices=2", "batch_size=16", f"trainer.strategy={s}") for s in ("ddp", "fsdp"))
    assert ddp.identity != fsdp.identity
    assert fsdp.hyperparameters["trainer.strategy"] == "fsdp"
    for ours, theirs in zip(ddp.parts.net.parameters(), fsdp.parts.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert not isinstance(theirs, DTensor)

"""An exponential moving average of the weights, measured beside the last ones, against a loop in plain torch."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.errors import UserError

from .test_resume import curves, in_pieces

HERE = f"_target_={__name__}"
COMMAND = ("ema.decay=0.9", "optimizer=adam", "optimizer.lr=0.01", "batch_size=64", "budget.steps=30")


class Normed(nn.Sequential):
    """Has buffers of both kinds: running averages, and their count."""

    def __init__(self, n_in, n_out):
        super().__init__(nn.Flatten(), nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, n_out))


class Tempered(nn.Module):
    """Has a parameter."""

    task = "classification"

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, output, target):
        return F.cross_entropy(output * self.scale, target) + 0.1 * self.scale**2


def tempered():
    """The same as a function."""
    scale = nn.Parameter(torch.ones(()))
    return lambda output, target: F.cross_entropy(output * scale, target) + 0.1 * scale**2


def by_hand(run, decay, steps):
    """The last and the averaged net after so many steps."""
    net, loss = run.parts.net, run.parts.loss
    optimizer = run.parts.optimizer([*net.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else ())])
    loader, average, made = run.parts.data.train_dataloader(), None, 0
    while made < steps:
        for x, y in loader:
            optimizer.zero_grad()
            loss(net.train()(x), y).mean().backward()
            optimizer.step()
            made += 1
            state = {name: value.clone() for name, value in net.state_dict().items()}
            if average is None:
                average = state
            for name, value in state.items():
                is_real = value.is_floating_point()
                average[name] = decay * average[name] + (1 - decay) * value if is_real else value
            if made == steps:
                break
    averaged = copy.deepcopy(net)
    averaged.load_state_dict(average)
    return net.eval(), averaged.eval()


@pytest.mark.parametrize(
    "more",
    [(), (f"model.{HERE}.Normed",), (f"loss.{HERE}.Tempered",), (f"loss.{HERE}.tempered",)],
    ids=["mlp", "norm", "loss", "function"],
)
def test_both_are_measured(make_run, tmp_path, more):
    outcome = make_run(*COMMAND, *more).train(tmp_path)
    assert outcome.status == "completed", outcome.error
    run = make_run(*COMMAND, *more)
    nets = by_hand(run, 0.9, 30)
    for part in ("val", "test"):
        batches = list(getattr(run.parts.data, f"{part}_dataloader")())
        y = torch.cat([y for _, y in batches])
        for net, name in zip(nets, (f"{part}/", f"{part}/ema/"), strict=True):
            with torch.no_grad():
                output = torch.cat([net(x) for x, _ in batches])
            expected = {"accuracy": (output.argmax(1) == y).float().mean(), "nll": F.cross_entropy(output, y)}
            for metric, value in expected.items():
                assert outcome.metrics[name + metric]["final"] == pytest.approx(value.item(), rel=1e-4), name + metric
    assert outcome.metrics["val/ema/nll"]["final"] != outcome.metrics["val/nll"]["final"]
    assert "best" in outcome.metrics["val/ema/accuracy"]
    assert "best" not in outcome.metrics["test/ema/accuracy"]


def test_the_training_is_the_same(make_run, tmp_path):
    with_average = make_run(*COMMAND).train(tmp_path / "with").metrics
    without = make_run(*COMMAND[1:]).train(tmp_path / "without").metrics
    assert {name: entry for name, entry in with_average.items() if "/ema/" not in name} == without


@pytest.mark.parametrize("more", [(f"model.{HERE}.Normed",), ("metrics=f1", "trainer.accumulate_grad_batches=2")])
def test_resumes_to_the_bit(make_run, tmp_path, more):
    whole = make_run(*COMMAND, *more).train(tmp_path / "whole")
    pieces, _ = in_pieces(make_run, tmp_path / "pieces", (*COMMAND, *more), 7)
    assert pieces.status == whole.status == "completed"
    assert pieces.metrics == whole.metrics
    assert curves(tmp_path / "pieces") == curves(tmp_path / "whole")


def test_arms_can_be_ranked_by_it(make_run, tmp_path):
    outcome = make_run(*COMMAND, "metric=val/ema/accuracy").train(tmp_path / "accuracy")
    assert (outcome.metric, outcome.metric_direction) == ("val/ema/accuracy", "max")
    outcome = make_run(*COMMAND, "metrics=f1", "metric=val/ema/f1").train(tmp_path / "f1")
    assert (outcome.metric, outcome.metric_direction) == ("val/ema/f1", "max")


def test_it_is_part_of_the_identity(make_run):
    identities = {make_run(*COMMAND[1:], *more).identity for more in ((), ("ema.decay=0.9",), ("ema.decay=0.99",))}
    assert len(identities) == 3


class Masked(nn.Module):
    """Has constant buffers that an average must not change."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out))
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("positions", torch.arange(512))

    def forward(self, x):
        return self.net(x) + self.mask[0]


def test_constant_buffers_stay_as_they_are(make_run, tmp_path):
    make_run(*COMMAND, f"model.{HERE}.Masked").train(tmp_path)
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    [mask] = [value for name, value in state.items() if name.startswith("average.") and name.endswith("mask")]
    [positions] = [value for name, value in state.items() if name.startswith("average.") and name.endswith("positions")]
    assert torch.equal(mask, torch.tensor([0.0, -torch.inf]))
    assert torch.equal(positions, torch.arange(512))


def test_what_decides_when_a_run_ends_is_part_of_the_identity(make_run):
    stops = ("ema.decay=0.9", "early_stopping.patience=2", "metrics=f1", "metric=val/ema/f1")
    assert make_run(*stops).identity != make_run(*stops, "metrics.f1.average=micro").identity


def locked():
    """A loss that cannot be copied."""
    scale, lock = nn.Parameter(torch.ones(())), threading.Lock()

    def loss(output, target):
        with lock:
            return F.cross_entropy(output * scale, target)

    return loss


class Modes(torch.optim.SGD):
    """As schedule-free ones."""

    def train(self):
        pass

    def eval(self):
        pass


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("ema.decay=1",), r"ema.decay must be a number in \(0, 1\) or null, got 1"),
        (("ema.decay=0",), r"ema.decay must be a number in \(0, 1\)"),
        (("ema.decay=nan",), r"ema.decay must be a number in \(0, 1\)"),
        (("metric=val/ema/accuracy",), "metric=val/ema/accuracy: the weights are not averaged; give ema.decay=0.999"),
        (("ema.decay=0.9", f"optimizer.{HERE}.Modes", "optimizer.lr=0.1"), "averages the weights itself; leave it out"),
        (
            ("ema.decay=0.9", f"loss.{HERE}.locked"),
            "ema.decay: an average needs copies, .*lock.*; leave it out",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make_run, command, message):
    with pytest.raises(UserError, match=message):
        make_run(*command)

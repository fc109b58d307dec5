"""Parts of one's own: what is trained is the net and the loss, all of them, and nothing is ignored in silence."""

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from bakeoff.errors import UserError

from .test_resume import in_pieces


class Lit(pl.LightningModule):
    """Trains in its own way, of which nothing would be used."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.net(x.flatten(1))

    def training_step(self, batch, batch_idx):
        raise AssertionError


class OtherPackage:
    """In place of that of `pytorch_lightning`, which is another class than that of `lightning`."""

    class LightningModule(nn.Module):
        pass


class OtherLit(OtherPackage.LightningModule):
    def __init__(self, n_in, n_out):
        raise AssertionError("not even built")


def lit_from_a_function(n_in, n_out):
    return Lit(n_in, n_out)


class HoldsLit(nn.Module):
    """A plain net with one inside is what it seems."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.lit = Lit(n_in, n_out)

    def forward(self, x):
        return self.lit(x)


@pytest.mark.parametrize("name", ["Lit", "OtherLit", "lit_from_a_function"])
def test_a_lightning_module_is_refused(make_run, name):
    with pytest.raises(UserError) as refused:
        make_run(f"model._target_={__name__}.{name}")
    message = str(refused.value)
    assert message.startswith(f"model: {__name__}.{name} is a LightningModule, with a training_step")
    assert message.endswith(f"give it as module._target_={__name__}.{name}")
    assert "\n" not in message


def test_a_net_that_holds_one_is_trained(make_run, tmp_path):
    assert make_run(f"model._target_={__name__}.HoldsLit", "budget.steps=3").train(tmp_path).status == "completed"


class Uncertainty(nn.Module):
    task = "regression"

    def __init__(self):
        super().__init__()
        self.log_s = nn.Parameter(torch.zeros(1))

    def forward(self, output, target):
        return (output - target).square() * torch.exp(-2 * self.log_s) + 2 * self.log_s


class Plain:
    """Holds a module, and is none."""

    task = "regression"

    def __init__(self):
        self.term = Uncertainty()

    def __call__(self, output, target):
        return self.term(output, target).mean(1)


def matrices_only(params, lr=0.1, **_):
    return torch.optim.SGD([p for p in params if p.ndim > 1], lr=lr)


def and_one_more(params, lr=0.1, **_):
    return torch.optim.SGD([*params, nn.Parameter(torch.zeros(3))], lr=lr)


COMMAND = (
    "data=diabetes",
    "loss=mse",
    "model=linear",
    "optimizer=adam",
    "optimizer.lr=0.01",
    "batch_size=88",
    "budget.steps=12",
)


@pytest.mark.parametrize(("loss", "name"), [("Uncertainty", "loss.log_s"), ("Plain", "loss.held_term.log_s")])
def test_parameters_of_a_loss_are_trained_kept_and_resumed(make_run, tmp_path, loss, name):
    """The values are those of plain torch, on the batches of the run."""
    command = (*COMMAND, f"loss._target_={__name__}.{loss}")
    run = make_run(*command)
    net, term = nn.Sequential(nn.Flatten(), nn.Linear(10, 1)), Uncertainty()
    net.load_state_dict(run.parts.net.state_dict())
    optimizer = torch.optim.Adam([*net.parameters(), term.log_s], lr=0.01)
    batches = run.parts.data.train_dataloader()
    for x, y in [batch for _ in range(4) for batch in batches][:12]:
        optimizer.zero_grad()
        term(net(x), y).mean().backward()
        optimizer.step()
    run.train(tmp_path / "whole")
    in_pieces(make_run, tmp_path / "pieces", command, 5)
    for file in ("last", "best"):
        whole = torch.load(tmp_path / f"whole/checkpoints/{file}.ckpt", weights_only=True)["state_dict"]
        pieces = torch.load(tmp_path / f"pieces/checkpoints/{file}.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(pieces[key], value) for key, value in whole.items())
        assert whole[name].item() != 0
    whole = torch.load(tmp_path / "whole/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert whole[name].item() == pytest.approx(term.log_s.item(), rel=1e-4)
    assert torch.allclose(whole["net.1.weight"], net.get_parameter("1.weight"), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("matrices_only", r"^optimizer: net\.1\.bias is in no parameter group of the optimizer; give it to"),
        ("and_one_more", r"^optimizer: parameter group 0 of the optimizer has a parameter of shape \(3,\) that is"),
    ],
)
def test_an_optimizer_that_lacks_or_adds_a_parameter_is_refused(make_run, factory, message):
    with pytest.raises(UserError, match=message):
        make_run("model=linear", "optimizer=torch_sgd", f"optimizer._target_={__name__}.{factory}")


class CountingLoss:
    """Keeps a state, draws, and takes gradients of the output."""

    task = "classification"

    def __init__(self):
        self.calls = 0

    def __call__(self, output, target):
        self.calls += 1
        value = nn.functional.cross_entropy(output, target)
        if output.requires_grad:
            (slope,) = torch.autograd.grad(value, output, create_graph=True)
            value = value + slope.square().sum() * torch.rand(())
        return value


class FloatLoss:
    task = "classification"

    def __call__(self, output, target):
        return 0.5


class OnlyPairs:
    task = "classification"

    def __call__(self, output, target):
        raise ValueError("needs (x, y) pairs\nand more")


class HardestFive:
    """Needs more than the few examples that it is tried on."""

    task = "classification"

    def __call__(self, output, target):
        return nn.functional.cross_entropy(output, target, reduction="none").topk(5).values.mean()


def test_a_loss_that_needs_many_examples(make_run, tmp_path):
    run = make_run(f"loss._target_={__name__}.HardestFive", "budget.steps=2", "budget.validations=1")
    assert run.train(tmp_path).status == "completed"


def test_a_loss_is_tried_on_a_copy(make_run):
    run = make_run(f"loss._target_={__name__}.CountingLoss")
    assert run.parts.loss.calls == 0
    draws = torch.rand(3)
    make_run(f"loss._target_={__name__}.CountingLoss")
    assert torch.equal(draws, torch.rand(3))  # each build leaves the same random numbers behind
    reference = make_run()
    for ours, expected in zip(run.parts.net.parameters(), reference.parts.net.parameters(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FloatLoss", r"loss: FloatLoss gives a float; it must give a tensor, \(N,\) or a scalar"),
        ("OnlyPairs", r"loss: OnlyPairs of outputs \(2, 10\) and targets \(2,\): needs \(x, y\) pairs$"),
    ],
)
def test_a_loss_that_does_not_work_is_refused(make_run, name, message):
    with pytest.raises(UserError, match=message):
        make_run(f"loss._target_={__name__}.{name}")

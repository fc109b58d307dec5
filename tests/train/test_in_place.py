"""A net that changes its input in place trains as on batches of its own: data in memory stays what it is."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.errors import UserError

HERE = __name__


class Halves(nn.Module):
    """A linear net on half of its input."""

    def __init__(self, n_in, n_out, in_place):
        super().__init__()
        self.net, self.in_place = nn.Linear(n_in, n_out), in_place

    def forward(self, x):
        x = x.flatten(1)
        if self.in_place:
            x *= 0.5
            return self.net(x)
        return self.net(x * 0.5)


class Noisy(Halves):
    """Changes its input in training alone."""

    def forward(self, x):
        if self.training:
            x = x.add_(1.0) if self.in_place else x + 1.0
        return self.net(x.flatten(1))


class Blanks:
    """Leaves zeros where the output was."""

    task = "classification"

    def __call__(self, output, target):
        loss = F.cross_entropy(output, target)
        with torch.no_grad():
            output.zero_()
        return loss


class Shifts(Blanks):
    """Moves the labels."""

    def __call__(self, output, target):
        loss = F.cross_entropy(output, target)
        target += 1
        return loss


class Frozen(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out)).requires_grad_(False)

    def forward(self, x):
        return self.net(x)


def model(kind, in_place):
    return f"model._target_={HERE}.{kind.__name__}", f"+model.in_place={in_place}"


@pytest.mark.parametrize("batch_size", [50, "full"])
def test_a_net_that_changes_its_input(make_run, tmp_path, batch_size):
    outcomes = [
        make_run(*model(Halves, in_place), f"batch_size={batch_size}", "budget.epochs=4").train(
            tmp_path / str(in_place)
        )
        for in_place in ("true", "false")
    ]
    assert outcomes[0].metrics == outcomes[1].metrics
    assert outcomes[0].status == "completed"


@pytest.mark.parametrize("batch_size", [50, "full"])
def test_a_net_that_changes_its_input_in_training_alone(make_run, tmp_path, batch_size):
    outcomes = [
        make_run(*model(Noisy, in_place), f"batch_size={batch_size}", "budget.epochs=4").train(tmp_path / in_place)
        for in_place in ("true", "false")
    ]
    assert outcomes[0].metrics == outcomes[1].metrics
    assert outcomes[0].status == "completed"


class Late(nn.Module):
    """Changes its input in place from its third step on."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.net, self.steps = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out)), 0

    def forward(self, x):
        self.steps += self.training
        if self.steps > 2:
            x *= 0.5
        return self.net(x)


def test_data_that_a_run_has_changed_is_loaded_anew(make_run, tmp_path):
    before = make_run("budget.steps=5").train(tmp_path / "before")
    failed = make_run(f"model._target_={HERE}.Late", "batch_size=full", "budget.epochs=6").train(tmp_path / "late")
    assert failed.status == "failed"
    assert failed.error["message"].startswith("data: the net, the loss or a callback has changed its values in place")
    assert make_run("budget.steps=5").train(tmp_path / "after").metrics == before.metrics


@pytest.mark.parametrize("kind", [Blanks, Shifts], ids=lambda kind: kind.__name__)
def test_a_loss_that_changes_its_arguments(make_run, kind):
    with pytest.raises(UserError, match=f"loss: {kind.__name__} changes its arguments in place"):
        make_run(f"loss._target_={HERE}.{kind.__name__}")


def test_a_net_without_anything_to_train(make_run):
    with pytest.raises(UserError, match="model: Frozen has no parameter that requires a gradient"):
        make_run(f"model._target_={HERE}.Frozen")

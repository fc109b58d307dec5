"""A run with a schedule-free optimizer: what is recorded is what x scores, and it resumes to the bit."""

import json

import pytest
import torch
from torch import nn

from tests.module.schedule_free import ScheduleFreeSGD

from .stops import StopsAfter
from .test_resume import curves, in_pieces

OPTIMIZER = (
    "optimizer=torch_sgd",
    f"optimizer._target_={ScheduleFreeSGD.__module__}.ScheduleFreeSGD",
    "optimizer.lr=0.5",
)
COMMAND = (*OPTIMIZER, "model=linear", "batch_size=64", "budget.steps=50", "budget.validations=7")


def content(folder, name):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def score(folder, name, run):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    net.load_state_dict({key.removeprefix("net."): value for key, value in content(folder, name)["state_dict"].items()})
    x, y = run.parts.data.arrays.val
    with torch.no_grad():
        return nn.functional.cross_entropy(net(x), y).item(), (net(x).argmax(1) == y).double().mean().item()


def test_checkpoints_score_what_is_recorded(make_run, tmp_path):
    run = make_run(*COMMAND, "metric=val/nll")
    assert run.train(tmp_path).status == "completed"
    recorded = json.loads((tmp_path / "outcome.json").read_text())["metrics"]
    loss, accuracy = score(tmp_path, "last", run)
    assert loss == pytest.approx(recorded["val/nll"]["final"], rel=1e-6)
    assert accuracy == pytest.approx(recorded["val/accuracy"]["final"], abs=1e-6)
    assert score(tmp_path, "best", run)[0] == pytest.approx(recorded["val/nll"]["best"], rel=1e-6)
    test_x, test_y = run.parts.data.arrays.test
    with torch.no_grad():
        right = (run.parts.net(test_x).argmax(1) == test_y).double().mean().item()
    assert right == pytest.approx(recorded["test/accuracy"]["final"], abs=1e-6)


@pytest.mark.parametrize("kind", ["ScheduleFreeSGD", "ModeInAnAttribute"])
def test_a_run_in_pieces_is_the_run_at_once(make_run, tmp_path, kind):
    """At the step of a validation and between two of them."""
    command = (*COMMAND, f"optimizer._target_={ScheduleFreeSGD.__module__}.{kind}")
    whole = make_run(*command).train(tmp_path / "whole")
    pieces, attempts = in_pieces(make_run, tmp_path / "pieces", command, 6)
    assert attempts > 5
    assert pieces.metrics == whole.metrics
    assert curves(tmp_path / "pieces") == curves(tmp_path / "whole")
    for name in ("last", "best"):
        one, other = (content(tmp_path / folder, name)["state_dict"] for folder in ("whole", "pieces"))
        assert all(torch.equal(other[key], value) for key, value in one.items())


def test_checkpoints_on_the_way_disturb_nothing_and_hold_x_beside_what_is_trained(make_run, tmp_path):
    whole = make_run(*COMMAND).train(tmp_path / "whole")
    often = make_run(*COMMAND, "checkpoint_every=0").train(tmp_path / "often")
    assert often.metrics == whole.metrics
    make_run(*COMMAND).train(tmp_path / "stopped", stop=StopsAfter(20))
    stopped = content(tmp_path / "stopped", "last")
    y, z = stopped["trainer"]["training_weights"]["net.1.weight"], stopped["optimizers"][0]["state"][0]["z"]
    assert torch.allclose(y.lerp(z, 1 - 1 / 0.9), stopped["state_dict"]["net.1.weight"])
    assert not torch.allclose(y, stopped["state_dict"]["net.1.weight"])

"""`log=full` shows weights and gradients, and changes nothing else."""

import json

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from torch import nn

from bakeoff.errors import UserError


def histograms(folder):
    """Tag -> [(step, rows of left edge, right edge, count)]."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    found = [tag for tag in events.Tags()["tensors"] if tag.startswith(("weights/", "gradients/"))]
    return {tag: [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)] for tag in found}


def test_full_and_default_have_bit_equal_outcomes(make_run, tmp_path):
    command = ("optimizer=rmsprop", "clip.norm=1.0", "budget.steps=60", "budget.validations=10")
    default, full = (make_run(*command, f"log={log}").train(tmp_path / log) for log in ("default", "full"))
    assert json.dumps(default.metrics) == json.dumps(full.metrics)
    assert (default.identity, default.arm) == (full.identity, full.arm)
    assert histograms(tmp_path / "default") == {}


def test_histograms_hold_every_weight_and_gradient(make_run, tmp_path):
    run = make_run("log=full", "budget.steps=60", "budget.validations=6")
    run.train(tmp_path)
    found = histograms(tmp_path)
    parameters = dict(run.parts.net.named_parameters())
    assert set(found) == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in parameters}
    for name, parameter in parameters.items():
        assert [step for step, _ in found[f"weights/{name}"]] == [10, 20, 30, 40, 50, 60]
        counts, edges = np.histogram(parameter.detach().double().numpy(), bins=30)
        _, rows = found[f"weights/{name}"][-1]
        assert np.array_equal(rows[:, 2], counts)
        assert np.allclose(rows[:, 0], edges[:-1])
        assert np.allclose(rows[:, 1], edges[1:])
        assert found[f"gradients/{name}"][-1][1][:, 2].sum() == parameter.numel()


class Keeps(pl.Callback):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.gradients = {name: p.grad.double().numpy().copy() for name, p in pl_module.net.named_parameters()}


def test_gradients_are_those_of_the_step_before_the_validation(make_run, tmp_path):
    run = make_run("log=full", f"+callbacks.keeps._target_={__name__}.Keeps", "budget.steps=30")
    run.train(tmp_path)
    for name, gradient in run.callbacks[0].gradients.items():
        step, rows = histograms(tmp_path)[f"gradients/{name}"][-1]
        counts, _ = np.histogram(gradient, bins=30)
        assert step == 30
        assert np.array_equal(rows[:, 2], counts)


@pytest.mark.parametrize(("validations", "looks"), [(20, 20), (21, 10), (60, 20), (100, 20)])
def test_about_twenty_times_a_run(make_run, tmp_path, validations, looks):
    make_run("log=full", "model=linear", "budget.steps=200", f"budget.validations={validations}").train(tmp_path)
    assert {len(rows) for rows in histograms(tmp_path).values()} == {looks}


class OddWeights(nn.Module):
    def __init__(self, *, n_in, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out))
        self.constant = nn.Parameter(torch.full((4,), 1e20), requires_grad=False)
        self.empty = nn.Parameter(torch.empty(0))
        self.wide = nn.Parameter(torch.tensor([-3e38, 3e38]), requires_grad=False)

    def forward(self, x):
        return self.net(x)


def test_weights_that_are_equal_absent_or_far_apart(make_run, tmp_path):
    outcome = make_run("log=full", f"model._target_={__name__}.OddWeights", "budget.steps=5").train(tmp_path)
    assert outcome.status == "completed", outcome.error
    found = histograms(tmp_path)
    constant = found["weights/constant"][0][1]
    assert constant[:, 2].sum() == 4
    assert (constant[:, 0] < constant[:, 1]).all()
    assert list(found["weights/wide"][0][1][[0, -1], 2]) == [1, 1]
    assert "weights/empty" not in found
    assert "gradients/constant" not in found


def test_another_value_is_refused(make_run):
    with pytest.raises(UserError, match=r"^log must be default or full, got ful \(did you mean full\?\)$"):
        make_run("log=ful")
    with pytest.raises(UserError, match=r"^log must be default or full, got 3$"):
        make_run("log=3")

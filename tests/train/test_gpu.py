"""The same runs on a GPU. Where there is none these are skipped: no continuous integration of ours has one."""

import re

import pytest
import torch
from torch.nn import functional

from bakeoff.errors import UserError
from bakeoff.train import describe_first_step

from . import test_ema, test_loader_options, test_own_module, test_resume, test_tasks
from .stops import StopsAfter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; run where there is one")


@pytest.fixture
def on_gpu(make_run):
    return lambda *overrides: make_run("optimizer=adam", *overrides, "trainer=gpu")


def test_a_gpu_learns_what_a_cpu_learns(on_gpu, make_run, tmp_path):
    command = ("optimizer.lr=0.01", "budget.steps=200")
    gpu = on_gpu(*command).train(tmp_path / "gpu")
    cpu = make_run("optimizer=adam", *command).train(tmp_path / "cpu")
    assert gpu.status == "completed", gpu.error
    assert gpu.device == torch.cuda.get_device_name()
    assert gpu.metrics["val/accuracy"]["final"] == pytest.approx(cpu.metrics["val/accuracy"]["final"], abs=0.03)


def test_initial_weights_do_not_depend_on_the_device(on_gpu, make_run):
    gpu, cpu = on_gpu("budget.steps=1"), make_run("budget.steps=1")
    for a, b in zip(gpu.parts.net.parameters(), cpu.parts.net.parameters(), strict=True):
        assert torch.equal(a.cpu(), b)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed", "bf16-true"])
def test_precisions(on_gpu, tmp_path, precision):
    outcome = on_gpu(f"trainer.precision={precision}", "budget.steps=50").train(tmp_path)
    assert outcome.status == "completed", outcome.error


def test_phases_are_timed_by_events(on_gpu, tmp_path):
    from bakeoff.report.curves import read_curves

    on_gpu("budget.steps=101").train(tmp_path)
    curves = read_curves(tmp_path)
    for phase in ("forward", "loss", "backward", "update"):
        assert list(curves[f"time/{phase}"].steps) == [1, 51, 101]
        assert (curves[f"time/{phase}"].values > 0).all()


def test_divergence_is_found_on_a_gpu(on_gpu, tmp_path):
    outcome = on_gpu("optimizer=sgd", "loss=mse", "optimizer.lr=1e6", "budget.steps=200").train(tmp_path)
    assert outcome.status == "diverged"


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])  # the latter with a scale of the loss to be kept
def test_a_run_in_pieces_ends_as_the_run_at_once(on_gpu, tmp_path, precision):
    command = (f"trainer.precision={precision}", "budget.steps=60", "batch_size=64", "schedule=cosine")
    whole = on_gpu(*command).train(tmp_path / "whole")
    for _ in range(2):
        piece = on_gpu(*command).train(tmp_path / "pieces", stop=StopsAfter(20))
        assert piece.status == "interrupted"
    pieces = on_gpu(*command).train(tmp_path / "pieces")
    assert pieces.steps == whole.steps
    # kernels that add in no fixed order leave the last bits open
    assert pieces.metrics["train/loss"]["final"] == pytest.approx(whole.metrics["train/loss"]["final"], rel=1e-3)


# what draws random numbers on the device draws others there
DRAWS = {"dropout", "diverges", "stops early", "hyperparameters and a scheduler"}
SLACK = {"bfloat16": 0.05}
TASKS = {
    "tokens": (*test_tasks.TOKENS, "loss=cross_entropy", "metrics=[f1,perplexity]"),
    "several labels": (*test_tasks.MULTILABEL, "metrics=[f1,auroc]"),
    "images": test_tasks.IMAGES,
    "average of the weights": (*test_ema.COMMAND, f"model._target_={test_ema.__name__}.Normed"),
    "a loss with a parameter": ("budget.steps=30", f"loss._target_={test_ema.__name__}.Tempered"),
    "pinned memory": (
        f"data._target_={test_loader_options.__name__}.Plain",
        *("+data.num_workers=1", "+data.pin_memory=true", "batch_size=16", "budget.epochs=3"),
    ),
}
MODULES = {name: test_own_module.command_of(*command) for name, command in test_own_module.MODULES.items()}
KINDS = test_resume.CASES | TASKS | MODULES


@pytest.mark.parametrize("name", sorted(KINDS.keys() - DRAWS))
def test_each_kind_of_run_learns_on_a_gpu_what_it_learns_on_a_cpu(make_run, tmp_path, name):
    command, slack = KINDS[name], SLACK.get(name, 0.02)
    gpu = make_run(*command, "trainer=gpu").train(tmp_path / "gpu")
    cpu = make_run(*command).train(tmp_path / "cpu")
    assert gpu.status == "completed", gpu.error
    assert (gpu.device, gpu.steps, gpu.samples) == (torch.cuda.get_device_name(), cpu.steps, cpu.samples)
    assert gpu.metrics.keys() == cpu.metrics.keys()
    for metric, entry in cpu.metrics.items():
        assert gpu.metrics[metric]["final"] == pytest.approx(entry["final"], rel=slack, abs=slack), metric


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"diverges", "stops early"}))
def test_each_kind_of_run_in_pieces_on_a_gpu(make_run, tmp_path, name):
    command = (*KINDS[name], "trainer=gpu")
    whole = make_run(*command).train(tmp_path / "whole")
    pieces, attempts = test_resume.in_pieces(make_run, tmp_path / "pieces", command, 9)
    assert attempts > 1
    assert (pieces.status, pieces.steps) == (whole.status, whole.steps)
    for metric, entry in whole.metrics.items():
        assert pieces.metrics[metric]["final"] == pytest.approx(entry["final"], rel=1e-3, abs=1e-3), metric


def test_what_is_measured_on_a_gpu_is_that_of_its_weights(make_run, tmp_path):
    """The metrics of the weights that are left, computed on the CPU."""
    run = make_run(*TASKS["tokens"], "trainer=gpu")
    found = test_tasks.finals(run.train(tmp_path))
    run.parts.net.cpu()
    cpu = make_run(*TASKS["tokens"])
    cpu.parts.net.load_state_dict(run.parts.net.state_dict())
    output, target = test_tasks.predicted(cpu)
    assert found["accuracy"] == pytest.approx((output.argmax(1) == target).double().mean().item(), abs=1e-6)
    assert found["nll"] == pytest.approx(functional.cross_entropy(output, target).item(), rel=1e-4)


def test_more_devices_than_there_are(on_gpu):
    there = torch.cuda.device_count()
    with pytest.raises(UserError, match=rf"^trainer.devices={there + 1}, but torch finds {there} GPU"):
        on_gpu(f"trainer.devices={there + 1}", "batch_size=16")


def test_a_dry_run_says_what_memory_a_step_takes(on_gpu):
    assert re.search(r"fits, at most \d+\.\d\d GiB$", describe_first_step(on_gpu("batch_size=64").run))

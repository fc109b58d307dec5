"""The same runs on a GPU. Where there is none these are skipped: no continuous integration of ours has one."""

import pytest
import torch

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

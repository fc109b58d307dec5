"""Runs that the memory does not hold: what is recorded, and which batch size is found to fit."""

import json

import pytest
import torch
from torch import nn

from bakeoff.train import describe_first_step
from bakeoff.train.error import is_out_of_memory
from bakeoff.train.first_step import FirstStep, try_first_step

TOO_LARGE = 2**48  # bytes: more than an address space holds, so that no machine takes them


class FitsUpTo(nn.Module):
    """A net whose training takes memory for at most `limit` samples, as the memory of a device would."""

    def __init__(self, n_in, n_out, limit, allocates=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(n_in, 16), nn.Dropout(0.5), nn.Linear(16, n_out))
        self.limit, self.allocates = limit, allocates

    def forward(self, x):
        if self.training and len(x) > self.limit:
            if self.allocates:
                torch.empty(TOO_LARGE, dtype=torch.uint8)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nSee the documentation")
        return self.layers(x)


class OddBatches(FitsUpTo):
    def forward(self, x):
        if self.training and len(x) == 25:
            raise ValueError("no 25")
        return super().forward(x)


def net(limit, name="FitsUpTo", **options):
    return (
        f"model._target_={__name__}.{name}",
        f"+model.limit={limit}",
        *(f"+model.{k}={v}" for k, v in options.items()),
    )


STEPS = ("budget.steps=3", "budget.validations=1")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (RuntimeError(5), False),
        (ValueError("DefaultCPUAllocator: can't allocate memory"), False),
    ],
)
def test_which_errors_say_that_memory_ran_out(error, expected):
    assert is_out_of_memory(error) is expected


def test_what_torch_raises_on_the_cpu_is_recognized():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(TOO_LARGE, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize("allocates", [False, True])
def test_a_run_out_of_memory_fails_with_the_batch_size_that_fits(make_run, tmp_path, allocates):
    outcome = make_run(*net(60, allocates=allocates), "batch_size=400", *STEPS).train(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert (outcome.status, record["status"], record["steps"]) == ("failed", "failed", 0)
    assert (record["error"]["type"], record["error"]["step"]) == ("OutOfMemory", 1)
    assert record["error"]["message"].startswith(
        "out of memory with batch_size=400; batch_size=50 fits, the largest found by halving 400 ("
    )
    assert "\n" not in record["error"]["message"]
    assert "FitsUpTo" in record["error"]["traceback"] or "forward" in record["error"]["traceback"]


def test_a_later_step(make_run, tmp_path):
    """The first step fits where the memory runs out later, as in a validation."""
    run = make_run(*net(10**6), "batch_size=400", *STEPS)
    run.parts.net.register_forward_hook(_takes_all_in_validation)
    error = run.train(tmp_path).error
    assert error["type"] == "OutOfMemory"
    assert error["message"].startswith("out of memory with batch_size=400, although a first step alone fits (")


def _takes_all_in_validation(net, *_):
    if not net.training:
        torch.empty(TOO_LARGE, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((*net(10**6), "batch_size=100"), FirstStep(100, 100)),
        ((*net(60), "batch_size=100"), FirstStep(100, 50)),
        ((*net(1), "batch_size=7"), FirstStep(7, 1)),
        ((*net(0), "batch_size=7"), FirstStep(7, 0)),
        ((*net(200), "batch_size=full"), FirstStep(1077, 134)),
        ((*net(200), "batch_size=5000"), FirstStep(1077, 134)),
        ((*net(20, "OddBatches"), "batch_size=100"), "a first step with 25 samples failed: no 25"),
    ],
)
def test_the_largest_batch_size_is_found_by_halving(make_run, command, expected):
    assert try_first_step(make_run(*command)) == expected


def test_the_optimizer_is_counted(make_run):
    optimizer = (f"optimizer._target_={__name__}.TakesMemory", "optimizer.lr=0.1")
    assert try_first_step(make_run(*optimizer, "batch_size=8")) == FirstStep(8, 0)


class TakesMemory(torch.optim.SGD):
    def step(self, closure=None):
        torch.empty(TOO_LARGE, dtype=torch.uint8)


def test_trying_changes_nothing(make_run, tmp_path):
    command = (*net(10**6), "batch_size=100", "optimizer=adam", *STEPS)
    expected = make_run(*command).train(tmp_path / "alone")
    run = make_run(*command)
    before, weights = torch.get_rng_state(), [p.clone() for p in run.parts.net.parameters()]
    assert try_first_step(run) == FirstStep(100, 100)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(p, kept) for p, kept in zip(run.parts.net.parameters(), weights, strict=True))
    assert run.train(tmp_path / "tried").metrics == expected.metrics


def test_what_a_dry_run_says(make_run):
    assert describe_first_step(make_run("batch_size=16")) == "model=MLP optimizer=SGD batch_size=16: fits"
    command = (*net(60), "batch_size=full", "optimizer.lr=0.5")
    assert describe_first_step(make_run(*command)) == (
        "model=FitsUpTo optimizer=SGD model.limit=60 batch_size=full: out of memory, 33 fits"
    )
    assert describe_first_step(make_run(*net(0))).endswith("batch_size=128: out of memory, not even 1 sample fits")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, whose memory is measured")
def test_the_peak_on_a_gpu(make_run):
    found = try_first_step(make_run("trainer=gpu", "batch_size=64"))
    larger = try_first_step(make_run("trainer=gpu", "batch_size=1024"))
    assert 0 < found.peak < larger.peak


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, whose memory runs out")
def test_a_gpu_that_is_full(make_run, tmp_path):
    share = torch.cuda.get_device_properties(0).total_memory // 64
    outcome = make_run(f"model._target_={__name__}.Hungry", f"+model.share={share}", "trainer=gpu", *STEPS).train(
        tmp_path
    )
    assert outcome.error["type"] == "OutOfMemory"
    assert "fits, the largest found by halving 128" in outcome.error["message"]


class Hungry(nn.Sequential):
    """Takes `share` bytes of the GPU for each sample of a training batch."""

    def __init__(self, n_in, n_out, share):
        super().__init__(nn.Flatten(), nn.Linear(n_in, n_out))
        self.share = share

    def forward(self, x):
        if self.training and x.is_cuda:
            torch.empty(len(x) * self.share, dtype=torch.uint8, device=x.device)
        return super().forward(x)

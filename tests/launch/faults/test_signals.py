"""Ctrl-C and a scheduler's SIGTERM: once, what runs writes a checkpoint and ends; twice, it is gone at once."""

import os
import signal
import time

import pytest

from bakeoff.runs import lease

from .processes import meanwhile, wait_for
from .records import check_whole, in_the_middle, records, statuses, steps_by_process

NAP = """
import pathlib
import time
import torch


class Net(torch.nn.Sequential):
    def __init__(self, *, n_in, n_out):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.passes = 0

    def forward(self, x):
        self.passes += self.training
        if self.passes > 1:  # the first is tried before
            pathlib.Path("asleep").touch()
            time.sleep(60)
        return super().forward(x)
"""
CTRL_C = pytest.param(signal.SIGINT, id="Ctrl-C")
SIGTERM = pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long)  # a scheduler's; a worker's is not long
BOTH = pytest.mark.parametrize("number", [SIGTERM, CTRL_C])


def check_stopped(sweep) -> None:
    """What was running is recorded as interrupted, with all its steps, and no process is at it."""
    assert "running" not in statuses(sweep)
    for run, record in records(sweep).items():
        assert not lease.is_leased(run)
        if record["status"] == "interrupted":
            (steps,) = steps_by_process(run).values()
            assert record["steps"] == steps[-1] < 1500


def check_that_no_step_was_taken_twice(sweep) -> None:
    for run in sweep.glob("*/seed=*"):
        taken = [step for steps in steps_by_process(run).values() for step in steps]
        assert taken == sorted(set(taken)), run


@pytest.mark.long
@BOTH
def test_once_to_a_sweep(start, bakeoff, tmp_path, eight_runs, undisturbed, number):
    sweep = tmp_path / "outputs" / "main"
    command = start(*eight_runs)
    wait_for(lambda: len(in_the_middle(sweep)) == 2)
    command.signal(number)
    said = command.wait(20)
    assert said.status == 130, said.text
    assert "run the same command again to resume" in said.text
    assert "Traceback" not in said.text
    assert not command.left_over()
    assert "interrupted" in statuses(sweep)
    check_stopped(sweep)
    again = bakeoff(*eight_runs)
    assert again.status == 0, again.err
    check_whole(sweep, undisturbed, 8)
    check_that_no_step_was_taken_twice(sweep)


def test_once_to_a_worker(bakeoff, tmp_path, eight_runs, undisturbed):
    sweep = tmp_path / "outputs" / "main"

    def stop_one(runs) -> None:
        os.kill(lease.holder_of(runs[0]).process, signal.SIGTERM)

    with meanwhile(lambda: in_the_middle(sweep), stop_one):
        result = bakeoff(*eight_runs)
    assert result.status == 0, result.err
    assert max(len(steps_by_process(run)) for run in sweep.glob("*/seed=*")) == 2
    check_whole(sweep, undisturbed, 8)
    check_that_no_step_was_taken_twice(sweep)


@pytest.mark.long
@BOTH
def test_once_to_a_single_run(start, bakeoff, tmp_path, settings, undisturbed, number):
    sweep = tmp_path / "outputs" / "main"
    command = start("optimizer=adam", "seed=1", *settings)
    wait_for(lambda: in_the_middle(sweep))
    command.signal(number)
    said = command.wait(20)
    assert said.status == 130, said.text
    assert "run the same command again to resume" in said.text
    assert "Traceback" not in said.text
    assert statuses(sweep) == ["interrupted"]
    check_stopped(sweep)
    again = bakeoff("-m", "optimizer=adam", "seed=1", *settings)
    assert again.status == 0, again.err
    check_whole(sweep, undisturbed, 1)
    check_that_no_step_was_taken_twice(sweep)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(("-m", "seed=0,1"), id="sweep"), pytest.param((), id="single run", marks=pytest.mark.long)],
)
def test_twice(start, tmp_path, arguments):
    (tmp_path / "nap.py").write_text(NAP)
    command = start(*arguments, "model._target_=nap.Net", "trainer=cpu", "trainer.threads=1", "workers=2")
    wait_for((tmp_path / "asleep").exists)
    command.signal(signal.SIGINT)
    time.sleep(1)
    assert command.runs(), "it did not wait for the step under way"
    command.signal(signal.SIGINT)
    said = command.wait(10)
    assert said.status == 130, said.text
    assert "Traceback" not in said.text
    assert not command.left_over(10)
    assert not [run for run in records(tmp_path / "outputs" / "main") if lease.is_leased(run)]

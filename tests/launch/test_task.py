"""One run, as Hydra calls it: how it ends, what it prints, and what a finished one leaves alone."""

import os
import signal
import threading
from pathlib import Path

import pytest

from bakeoff.launch import task
from bakeoff.launch.console import print_waiting
from bakeoff.runs import Outcome
from bakeoff.runs.lease import acquire

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1", "checkpoint_every=0")
NET = """
import os, signal, torch

class Net(torch.nn.Sequential):
    def __init__(self, n_in, n_out, fault):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.fault, self.steps = fault, 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            with open("steps.txt", "a") as file:
                file.write(".")
            if self.steps == 3 and self.fault == "raises":
                raise RuntimeError("broken on purpose")
            if self.steps == 3 and self.fault in ("SIGTERM", "SIGINT") and not os.path.exists("resumed"):
                os.kill(os.getpid(), getattr(signal, self.fault))
        return super().forward(x)
"""
MINE = ("model._target_=mine.Net", *FAST)


@pytest.fixture(autouse=True)
def net(tmp_path):
    (tmp_path / "mine.py").write_text(NET)


def files(root):
    """Path -> content and time of every file of every run."""
    found = [path for path in root.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.mark.parametrize(
    ("arguments", "exit_status", "recorded"),
    [
        (("+model.fault=none", *MINE), 0, "completed"),
        (("loss=mse", "optimizer.lr=1e30", *FAST), 0, "diverged"),
        (("+model.fault=raises", *MINE), 1, "failed"),
        (("optimizer.lr=-1", *FAST), 2, None),
        (("+model.fault=SIGTERM", *MINE), 130, "interrupted"),
        (("+model.fault=SIGINT", *MINE), 130, "interrupted"),
    ],
    ids=["completed", "diverged", "failed", "invalid", "SIGTERM", "Ctrl-C"],
)
def test_how_it_ends_is_its_exit_status(bakeoff, outcomes, arguments, exit_status, recorded):
    result = bakeoff(*arguments)
    assert result.status == exit_status, result.err
    assert [record["status"] for record in outcomes().values()] == ([recorded] if recorded else [])


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_stopped_run_says_so_and_resumes_from_there(bakeoff, outcomes, tmp_path, number):
    command = (f"+model.fault={number}", *MINE)
    stopped = bakeoff(*command)
    ((name, record),) = outcomes().items()
    assert stopped.err.endswith(
        f"bakeoff: stopped; recorded as interrupted in outputs/main/{name}; run the same command again to resume\n"
    )
    assert record["error"]["message"] == "stopped from outside"
    steps = record["steps"]
    assert 0 < steps < 6
    (tmp_path / "resumed").touch()
    assert bakeoff(*command).status == 0
    ((_, record),) = outcomes().items()
    assert (record["status"], record["steps"], record["error"]) == ("completed", 6, None)
    tries = 2  # one by each command, before it trains
    assert (tmp_path / "steps.txt").read_text() == "." * (6 + tries), "a checkpoint was written where it stopped"


@pytest.mark.parametrize("fault", ["none", "raises"])
def test_a_finished_run_is_left_as_it_is(bakeoff, tmp_path, fault):
    """`.hydra` too, which Hydra itself would write anew, with other settings in it."""
    command = (f"+model.fault={fault}", *MINE)
    first = bakeoff(*command)
    sweep = tmp_path / "outputs" / "main"
    (run,) = sweep.glob("*/seed=0")
    assert {path.name for path in (run / ".hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    before = files(run)
    again = bakeoff(*command, "log=full", "workers=1", "hydra.verbose=false")
    assert again.status == first.status
    assert "already finished, not trained again" in again.out
    assert files(run) == before
    assert list(sweep.glob("*/seed=*")) == [run]


def test_the_configuration_of_a_run_that_is_trained_again_is_that_of_its_last_command(bakeoff, tmp_path):
    assert bakeoff("+model.fault=raises", *MINE).status == 1
    (written,) = tmp_path.rglob(".hydra/config.yaml")
    assert "log: default\n" in written.read_text()
    assert bakeoff("+model.fault=raises", *MINE, "retry=failed", "log=full").status == 1
    assert "log: full\n" in written.read_text()


def test_a_run_goes_to_the_folder_that_it_has_already(bakeoff, outcomes, tmp_path):
    assert bakeoff("-m", "optimizer=sgd,adam", "seed=0", *FAST).status == 0
    before = set(outcomes())
    assert bakeoff("optimizer=adam", "seed=1", *FAST).status == 0
    assert set(outcomes()) - before == {"optimizer=adam/seed=1"}
    # what Hydra made for the longer name is gone
    assert {path.name for path in (tmp_path / "outputs" / "main").iterdir() if path.is_dir()} == {
        "optimizer=sgd",
        "optimizer=adam",
    }


def test_a_folder_of_the_users_own_is_refused(bakeoff, tmp_path):
    refused = bakeoff("hydra.run.dir=mine/here/run", *FAST)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "a run is written to outputs/main/<arm>/seed=0" in refused.err
    assert not (tmp_path / "mine").exists()


def folder_of(bakeoff, *command) -> Path:
    return Path(bakeoff(*command, "dry_run=true").out.removeprefix("would train ").strip())


@pytest.fixture
def when_waiting(monkeypatch):
    """`when_waiting(action)`: does it a moment after the command has said that it waits."""

    def do(action):
        def said(folder):
            print_waiting(folder)
            threading.Timer(0.7, action).start()

        monkeypatch.setattr(task, "print_waiting", said)

    return do


def test_a_run_that_another_process_trains_is_waited_for(bakeoff, when_waiting, tmp_path):
    folder = folder_of(bakeoff, *FAST)
    lease = acquire(folder)
    when_waiting(lease.release)
    result = bakeoff(*FAST)
    assert result.status == 0, result.err
    assert result.err.startswith(f"bakeoff: process {os.getpid()} on {lease.holder.host} is training {folder}; waiting")
    assert result.err.count("waiting for it") == 1
    assert Outcome.read(folder).status == "completed"


def test_waiting_can_be_stopped(bakeoff, when_waiting, tmp_path):
    folder = folder_of(bakeoff, *FAST)
    when_waiting(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with acquire(folder):
        result = bakeoff(*FAST)
    assert result.status == 130
    assert "waiting for it" in result.err
    assert not (folder / "outcome.json").exists()


def test_a_users_exception_called_stopped_is_a_failure(bakeoff, outcomes, tmp_path):
    (tmp_path / "stopped.py").write_text(
        "import torch\n\n\nclass Stopped(Exception):\n    pass\n\n\nclass Net(torch.nn.Flatten):\n"
        "    def __init__(self, *, n_in, n_out):\n        super().__init__()\n"
        "        self.layer, self.passes = torch.nn.Linear(n_in, n_out), 0\n\n"
        "    def forward(self, x):\n        self.passes += self.training\n"
        "        if self.passes > 1:\n            raise Stopped('of my own')\n"
        "        return self.layer(super().forward(x))\n"
    )
    result = bakeoff("model._target_=stopped.Net", "budget.steps=5", "trainer=cpu", "trainer.threads=1")
    assert result.status == 1
    assert "of my own" in result.err
    assert "interrupted" not in result.err
    ((_, record),) = outcomes().items()
    assert (record["status"], record["error"]["type"]) == ("failed", "Stopped")

"""A sweep in which not everything went well, trained for real."""

import os
import signal
import subprocess
import sys
import time

import pytest

MODEL = """
import torch

class Stumbles(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer, self.calls = torch.nn.Linear(n_in, n_out), 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 12:
            raise RuntimeError("stumbled at call 12")
        return self.layer(x.flatten(1))
"""


@pytest.fixture(scope="session")
def troubled_sweep(made_once):
    """2 learning rates, of which 1e30 diverges, x 3 seeds; a model that fails; and a run killed in the middle."""
    return made_once("troubled_sweep", train_troubled_sweep) / "troubled"


def train_troubled_sweep(folder):
    (folder / "mine.py").write_text(MODEL)
    settings = [f"root={folder}", "sweep=troubled", "trainer.accelerator=cpu", "trainer.threads=1"]

    def command(*overrides):
        return [sys.executable, "-m", "bakeoff", *overrides, *settings]

    rates = ["optimizer.lr=0.1,1e30", "seed=0,1,2", "budget.steps=40", "batch_size=16"]
    subprocess.run(command("-m", *rates), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    fails = subprocess.run(command("model._target_=mine.Stumbles", "budget.steps=40"), cwd=folder, capture_output=True)
    assert fails.returncode == 1
    kill_in_the_middle(command("optimizer=adam", "budget.seconds=100"), folder)


def kill_in_the_middle(command, folder):
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not any(file.stat().st_size > 20_000 for file in folder.glob("*/optimizer=adam*/seed=0/events.*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)

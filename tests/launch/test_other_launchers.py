"""Hydra's own launchers and sweeper: what is known of a run is known by the run itself, whoever started it."""

import pytest

pytestmark = pytest.mark.long

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1", "checkpoint_every=0")
NET = """
import os, torch

class Net(torch.nn.Sequential):
    def __init__(self, n_in, n_out, bad):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.bad, self.steps = bad, 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            if self.steps > 1:  # the first is tried before
                with open("steps.txt", "a") as file:
                    file.write(f"{self.bad}\\n")
            if self.steps == 3 and not self.bad and not os.path.exists("go"):
                raise SystemExit
            if self.bad and self.steps > 1 and not os.path.exists("mended"):
                raise RuntimeError("broken on purpose")
        return super().forward(x)
"""


@pytest.mark.parametrize("launcher", ["basic", "joblib", pytest.param("submitit_local", marks=pytest.mark.long)])
def test_runs_go_on_and_are_skipped(trained, tmp_path, outcomes, launcher):
    (tmp_path / "mine.py").write_text(NET)
    run = ("model._target_=mine.Net", *FAST)
    assert trained("+model.bad=false", *run).status == 130  # interrupted in its third step
    (tmp_path / "go").touch()
    sweep = ("-m", f"hydra/launcher={launcher}", "+model.bad=false,true", *run)
    first = trained(*sweep)
    assert (first.status, len(first.runs)) == (1, 2), first.err
    assert "runs: 2: 1 completed, 0 diverged, 1 failed" in first.out
    taken = (tmp_path / "steps.txt").read_text()
    assert (taken.count("False") < 2 + 5, taken.count("True")) == (True, 1)  # it went on, and did not begin again
    again = trained(*sweep)
    assert again.runs == set()
    (tmp_path / "mended").touch()
    ours = trained("-m", "hydra/launcher=bakeoff", "+model.bad=false,true", *run, "retry=failed")
    assert (ours.status, len(ours.runs)) == (0, 1), ours.err
    assert {record["status"] for record in outcomes().values()} == {"completed"}


def test_hydras_own_sweeper(trained, tmp_path):
    sweep = ("-m", "hydra/sweeper=basic", "optimizer=sgd,adam", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert (first.status, len(first.runs)) == (0, 4), first.err
    assert "runs: 4: 4 completed" in first.out
    again = trained(*sweep)
    assert again.runs == set()
    assert again.out.startswith("already finished: 4 completed\n")
    asked = trained(*sweep, "dry_run=true")
    assert "4 runs asked for: 4 completed\n" in asked.out

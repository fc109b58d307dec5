"""A study of Optuna through Hydra's sweeper: it gets the objective of every run, and no bad end ends it."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings(  # in what Optuna 2.10 does with today's SQLAlchemy and Python
        "ignore:.*declarative_base.*", "ignore:.*pkg_resources.*"
    ),
]

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=20", "budget.validations=1")
MAXIMIZE = "hydra.sweeper.direction=maximize"
NET = """
import os, torch

class Net(torch.nn.Sequential):
    def __init__(self, n_in, n_out, bad):
        if bad == "never built":
            raise ValueError("refused on purpose")
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.bad, self.passes = bad, 0

    def forward(self, x):
        self.passes += self.training
        if self.passes > 1 and self.bad == "broken":  # the first is tried before
            raise RuntimeError("broken on purpose")
        return super().forward(x)
"""


@pytest.fixture(autouse=True)
def _no_log_of_its_own():
    import optuna

    optuna.logging.disable_default_handler()  # it writes to the stderr of the first test


def study(trials, *overrides, jobs=2, seed=0):
    numbers = (f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={jobs}", f"hydra.sweeper.sampler.seed={seed}")
    return ("-m", "hydra/sweeper=optuna", *numbers, *overrides, *FAST)


def results(tmp_path):
    return yaml.safe_load((tmp_path / "outputs" / "main" / "optimization_results.yaml").read_text())


def best(outcomes, metric, better):
    found = [record for record in outcomes.values() if record["status"] == "completed"]
    return better(found, key=lambda record: record["metrics"][metric]["final"])


def test_a_study_finds_the_best_run_and_is_repeated_at_once(trained, tmp_path, outcomes):
    command = study(6, MAXIMIZE, "optimizer.lr=tag(log,interval(0.001,10))")
    first = trained(*command)
    assert (first.status, len(first.runs)) == (0, 6), first.err
    found = best(outcomes(), "val/accuracy", max)
    assert results(tmp_path) == {
        "name": "optuna",
        "best_params": {"optimizer.lr": found["arm"]["optimizer.lr"]},
        "best_value": pytest.approx(found["metrics"]["val/accuracy"]["final"]),
    }
    before = results(tmp_path)
    again = trained(*command)  # the sampler has a seed: it proposes the same
    assert (again.status, again.runs) == (0, set()), again.err
    assert results(tmp_path) == before
    more = trained(*study(8, MAXIMIZE, "optimizer.lr=tag(log,interval(0.001,10))"))
    assert (more.status, len(more.runs)) == (0, 2), more.err


@pytest.mark.parametrize(("metric", "direction", "better"), [("accuracy", "maximize", max), ("nll", "minimize", min)])
def test_bad_ends_are_the_worst_results(trained, tmp_path, outcomes, metric, direction, better):
    (tmp_path / "mine.py").write_text(NET)
    command = study(
        12,
        f"hydra.sweeper.direction={direction}",
        "hydra/sweeper/sampler=random",
        f"metric=val/{metric}",
        "model._target_=mine.Net",
        "+model.bad=choice(fine,broken,'never built')",
        "optimizer.lr=choice(0.1,1e30,0.01)",
        "loss=mse",
        jobs=3,
        seed=9,
    )
    for _ in range(2):
        result = trained(*command)
        assert result.status == 1, result.err  # some have failed
        assert {record["status"] for record in outcomes().values()} == {"completed", "diverged", "failed"}
        assert "refused on purpose" in result.err
        found = best(outcomes(), f"val/{metric}", better)
        assert results(tmp_path)["best_value"] == pytest.approx(found["metrics"][f"val/{metric}"]["final"])
        assert results(tmp_path)["best_params"]["optimizer.lr"] == found["arm"]["optimizer.lr"]
    assert result.runs == set()


def test_a_regression_is_ranked_by_rmse(trained, tmp_path, outcomes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype("float32")
    np.savez(tmp_path / "mine.npz", x=x, y=(x @ np.ones(3)).astype("float32"))
    data = ("data=array", "data.path=mine.npz", "loss=mse", "optimizer.lr=choice(0.1,1e30)")
    wrong = trained(*study(2, MAXIMIZE, *data))
    assert (wrong.status, wrong.runs) == (2, set())
    assert wrong.err.splitlines()[-1] == (
        "bakeoff: hydra.sweeper.direction=maximize would look for the worst val/rmse; "
        "give hydra.sweeper.direction=minimize"
    )
    command = study(4, "hydra.sweeper.direction=minimize", *data)
    for _ in range(2):
        assert trained(*command).status == 0
        found = best(outcomes(), "val/rmse", min)
        assert results(tmp_path)["best_value"] == pytest.approx(found["metrics"]["val/rmse"]["final"])


def test_a_study_of_the_worst_accuracy_is_refused(trained, tmp_path):
    wrong = trained(*study(2, "optimizer.lr=interval(0.01,0.1)"))  # Optuna's own default is to minimize
    assert (wrong.status, wrong.runs) == (2, set())
    assert "would look for the worst val/accuracy; give hydra.sweeper.direction=maximize" in wrong.err


@pytest.mark.long
def test_the_command_ends_with_its_study(tmp_path):
    """Nobody tells a launcher that a study is over: its workers must not keep the process."""
    command = study(2, MAXIMIZE, "batch_size=choice(16,64)")
    ended = subprocess.run([sys.executable, "-m", "bakeoff", *command], cwd=tmp_path, timeout=120, capture_output=True)
    assert ended.returncode == 0, ended.stderr

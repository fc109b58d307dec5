"""Workers as jobs of submitit. They run on this machine (submitit's own `local` cluster), as Slurm's would there.

Where there is a Slurm, `BAKEOFF_SLURM=1 pytest tests/workers/test_slurm.py` takes that.
"""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.long

CLUSTER = "slurm" if os.environ.get("BAKEOFF_SLURM") else "local"
CHOICES = ["-m", "optimizer=sgd,adam", "seed=0,1,2", "trainer=cpu", "trainer.threads=1", "batch_size=16"]
JOBS = ["workers=2", "hydra/launcher=bakeoff_slurm", f"hydra.launcher.backend.cluster={CLUSTER}"]
PLENTY = ["hydra.launcher.backend.timeout_min=30"]  # submitit's own default for its local cluster is 2


def command(*overrides):
    return [sys.executable, "-m", "bakeoff", *CHOICES, *overrides]


def start(folder, *overrides):
    return subprocess.Popen(
        command(*JOBS, *PLENTY, *overrides),
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(root):
    return {str(p.parent.relative_to(root)): json.loads(p.read_text()) for p in root.glob("*/seed=*/outcome.json")}


def metrics(root):
    return {run: record["metrics"] for run, record in outcomes(root).items()}


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def sweep(tmp_path):
    yield tmp_path / "outputs" / "main"
    for process in psutil.process_iter(["cmdline"]):  # jobs outlive their launcher, by design
        if any(str(tmp_path) in part for part in process.info["cmdline"] or ()):
            process.kill()


@pytest.mark.long
def test_a_job_that_is_killed_costs_nothing(tmp_path, sweep):
    long = ["budget.steps=2500", "checkpoint_every=0"]
    with start(tmp_path, *long) as process:
        wait_until(lambda: len(list(sweep.glob("*/seed=*/checkpoints/last.ckpt"))) >= 2)
        worker = psutil.Process(next(iter(outcomes(sweep).values()))["process"])
        for one in [worker, *worker.parents()[:2]]:  # the worker, its fork server, the job
            one.kill()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "runs: 6: 6 completed, 0 diverged, 0 failed" in out
    alone = tmp_path / "alone"
    subprocess.run(command(*long, f"root={alone}"), cwd=tmp_path, check=True, capture_output=True)
    assert metrics(sweep) == metrics(alone / "main")


@pytest.mark.long
def test_jobs_continue_without_their_launcher_and_are_found_by_the_next(tmp_path, sweep):
    with start(tmp_path, "budget.steps=1000") as process:
        wait_until(lambda: any(record["status"] == "completed" for record in outcomes(sweep).values()))
        process.kill()
    wait_until(lambda: [r["status"] for r in outcomes(sweep).values()].count("completed") == 6)
    ended = {run: record["ended"] for run, record in outcomes(sweep).items()}
    again = subprocess.run(
        command(*JOBS, *PLENTY, "budget.steps=1000"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "already finished: 6 completed" in again.stdout
    assert {run: record["ended"] for run, record in outcomes(sweep).items()} == ended


def test_ctrl_c_stops_the_jobs(tmp_path, sweep):
    with start(tmp_path, "budget.seconds=200") as process:
        wait_until(lambda: len(outcomes(sweep)) >= 2)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "run the same command again to resume" in err
    assert [record["status"] for record in outcomes(sweep).values()] == ["interrupted", "interrupted"]
    assert len(list(sweep.glob("*/seed=*/checkpoints/last.ckpt"))) == 2


def test_how_many_jobs_must_be_said(bakeoff):
    result = bakeoff(*CHOICES, "hydra/launcher=bakeoff_slurm")
    assert result.status == 2
    assert result.err == (
        "bakeoff: hydra/launcher=bakeoff_slurm cannot know how many Slurm jobs you want: give workers=N\n"
    )


def test_where_submitit_is_not_installed(bakeoff, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    result = bakeoff(*CHOICES, *JOBS)
    assert result.status == 2
    assert "needs submitit, which is not installed: pip install 'bakeoff[slurm]'" in result.err


@pytest.mark.skipif(CLUSTER == "slurm", reason="there is a Slurm: its absence is tried where there is none")
def test_where_there_is_no_slurm(bakeoff, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result = bakeoff(*CHOICES, "workers=2", "hydra/launcher=bakeoff_slurm", "budget.steps=2")
    assert result.status == 2
    assert "no Slurm is found here (there is no srun)" in result.err
    assert "Traceback" not in result.err


def test_a_parameter_that_submitit_does_not_have(bakeoff):
    result = bakeoff(*CHOICES, *JOBS, "+hydra.launcher.backend.slurm_partitoin=gpu")
    assert result.status == 2
    assert "hydra.launcher.backend: " in result.err
    assert "slurm_partitoin" in result.err

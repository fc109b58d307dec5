"""Workers on a real Ray cluster of two nodes, both on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CLUSTER = Path(__file__).with_name("ray_cluster.py")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "PYTHONWARNINGS": "ignore"}
CHOICES = ["-m", "optimizer=sgd,adam", "seed=0,1,2", "trainer=cpu", "trainer.threads=1", "batch_size=16"]


class Cluster:
    def __init__(self):
        environment = os.environ | QUIET
        self.process = subprocess.Popen(
            [sys.executable, str(CLUSTER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.address = self.wait_for("address").split()[1]

    def wait_for(self, word):
        for line in self.process.stdout:
            if line.startswith(word):
                return line
        raise AssertionError(f"the cluster ended before it said {word}")

    def kill_a_node(self):
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        self.wait_for("killed")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


def command(*overrides):
    return [sys.executable, "-m", "bakeoff", *CHOICES, *overrides]


def on(cluster):
    return ["hydra/launcher=bakeoff_ray", f"hydra.launcher.backend.address={cluster.address}"]


def start(folder, *overrides):
    return subprocess.Popen(
        command(*overrides),
        cwd=folder,
        env=os.environ | QUIET,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def outcomes(root):
    return {str(p.parent.relative_to(root)): json.loads(p.read_text()) for p in root.glob("*/seed=*/outcome.json")}


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.long
def test_a_node_that_is_killed_in_mid_sweep_costs_nothing(cluster, tmp_path):
    long = ["budget.steps=3000", "checkpoint_every=0"]
    (tmp_path / "ray").mkdir()
    sweep = tmp_path / "ray" / "outputs" / "main"
    process = start(tmp_path / "ray", *long, *on(cluster))
    try:
        wait_until(lambda: len(list(sweep.glob("*/seed=*/checkpoints/last.ckpt"))) >= 2)
        workers = {record["process"] for record in outcomes(sweep).values()}
        assert len(workers) == 2  # one on each node
        cluster.kill_a_node()
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "runs: 6: 6 completed, 0 diverged, 0 failed" in out
    assert "Traceback" not in err
    subprocess.run(command(*long), cwd=tmp_path, check=True, capture_output=True)
    alone, spread = outcomes(tmp_path / "outputs" / "main"), outcomes(sweep)
    assert {k: r["metrics"] for k, r in spread.items()} == {k: r["metrics"] for k, r in alone.items()}


def test_ctrl_c_stops_runs_on_other_nodes(cluster, tmp_path):
    sweep = tmp_path / "outputs" / "main"
    process = start(tmp_path, "budget.seconds=100", *on(cluster))
    try:
        wait_until(lambda: len(outcomes(sweep)) >= 2)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "2 interrupted, 4 not started; run the same command again to resume" in err
    assert [record["status"] for record in outcomes(sweep).values()] == ["interrupted", "interrupted"]
    assert len(list(sweep.glob("*/seed=*/checkpoints/last.ckpt"))) == 2


def test_where_there_is_no_cluster(bakeoff):
    result = bakeoff(*CHOICES, "hydra/launcher=bakeoff_ray", "hydra.launcher.backend.address=127.0.0.2:1")
    assert result.status == 2
    assert "bakeoff: no Ray cluster is found at 127.0.0.2:1: start one with `ray start --head`" in result.err


def test_where_ray_is_not_installed(bakeoff, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = bakeoff(*CHOICES, "hydra/launcher=bakeoff_ray")
    assert result.status == 2
    assert result.err == (
        "bakeoff: hydra/launcher=bakeoff_ray needs Ray, which is not installed: pip install 'bakeoff[ray]'\n"
    )


def test_a_back_end_that_there_is_not(bakeoff, tmp_path):
    result = bakeoff(*CHOICES, "hydra/launcher=bakeoff_rai")
    assert result.status == 2
    assert "Could not find 'hydra/launcher/bakeoff_rai' (did you mean bakeoff_ray?)" in result.err
    assert "there are bakeoff, bakeoff_ray, bakeoff_slurm" in result.err
    assert not list(tmp_path.iterdir())

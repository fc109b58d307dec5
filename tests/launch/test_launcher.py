"""The launcher as its user meets it: workers, threads, what is shown, how it ends, and what it leaves behind."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import joblib
import psutil
import pytest

CPU = ("trainer=cpu", "budget.validations=1")
FAST = (*CPU, "trainer.threads=1", "budget.steps=6")
# trains, or fails at a step of its choice, or says something, or takes its time
NET = """
import os, time, torch

class Net(torch.nn.Sequential):
    def __init__(self, n_in, n_out, bad=0, noise="", nap=0.0):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.bad, self.noise, self.nap, self.steps = bad, noise, nap, 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            time.sleep(self.nap)
            if self.noise:
                print(self.noise, flush=True)
            if self.steps == self.bad and not os.path.exists("mended"):
                raise RuntimeError("broken on purpose")
        return super().forward(x)
"""


@pytest.fixture
def net(tmp_path):
    """The settings that choose the net above."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: mine.Net\nbad: 0\nnoise: ''\nnap: 0.0\n")
    (tmp_path / "mine.py").write_text(NET)
    return ("model=mine",)


@pytest.fixture
def start(tmp_path):
    """Starts the command in a process of its own; whatever it leaves behind is a failure, and killed."""
    started = []

    def begin(*arguments, **streams):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | streams
        command = [sys.executable, "-m", "bakeoff", *arguments]
        # a session of its own tells all its processes, orphans as well
        started.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **streams))
        return started[-1]

    yield begin
    left = [process for command in started for process in processes_of(command)]
    for process in left:
        process.kill()
    assert not left


def processes_of(command):
    """All that are left of a command, after a moment in which they may go."""
    until = time.monotonic() + 30
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == command.pid and process.pid != command.pid:
                    found.append(process)
            except (ProcessLookupError, psutil.Error):
                continue
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def wait_for(condition, seconds=180):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def statuses(tmp_path):
    return sorted(json.loads(path.read_text())["status"] for path in tmp_path.rglob("outcome.json"))


@pytest.mark.parametrize(
    ("workers", "runs", "processes", "threads"),
    [
        pytest.param("1", 3, 1, max(1, joblib.cpu_count()), marks=pytest.mark.long),
        pytest.param("2", 4, 2, max(1, joblib.cpu_count() // 2), marks=pytest.mark.long),
        ("8", 2, 2, None),
    ],
)
def test_runs_are_spread_over_warm_workers(bakeoff, outcomes, workers, runs, processes, threads):
    seeds = ",".join(map(str, range(runs)))
    result = bakeoff("-m", f"seed={seeds}", f"workers={workers}", *CPU, "budget.steps=40", "batch_size=16")
    assert result.status == 0, result.err
    found = outcomes().values()
    assert len(found) == runs
    assert len({record["process"] for record in found}) == processes
    assert os.getpid() not in {record["process"] for record in found}
    if threads is not None:
        assert {record["threads"] for record in found} == {threads}


@pytest.mark.long
def test_as_many_workers_as_the_cores_and_runs_allow(bakeoff, outcomes):
    assert bakeoff("-m", "seed=0,1,2,3", *FAST).status == 0
    assert len({record["process"] for record in outcomes().values()}) <= joblib.cpu_count()
    assert bakeoff("-m", "seed=0,1", f"trainer.threads={joblib.cpu_count()}", *CPU, "budget.steps=7").status == 0
    wide = [record for record in outcomes().values() if record["steps"] == 7]
    assert len({record["process"] for record in wide}) == 1  # two would fight over the cores


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", "null", "true"])
def test_workers_that_make_no_sense(bakeoff, tmp_path, value):
    for multirun in ([], ["-m", "seed=0,1"]):
        result = bakeoff(f"workers={value}", *FAST, *multirun)
        assert result.status == 2
        given = {"null": "None", "true": "True"}.get(value, value)
        assert result.err == f"bakeoff: workers must be a whole number >= 1 or auto, got {given}\n"
        assert not list((tmp_path / "outputs").rglob("*.*"))


@pytest.mark.parametrize("setting", ["trainer.threads=abc", "fail_fast=maybe", "dry_run=maybe", "~trainer"])
def test_other_settings_that_make_no_sense(bakeoff, tmp_path, setting):
    result = bakeoff("-m", "seed=0,1", setting)
    assert result.status == 2
    assert result.err.startswith(f"bakeoff: {setting.strip('~').split('=')[0]} must be ")
    assert len(result.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_is_refused_leaves_nothing(bakeoff, tmp_path):
    assert bakeoff("-m", "loss=mse,hinge", "data=diabetes", "seed=0,1").status == 2
    assert not list(tmp_path.iterdir())


def test_the_first_failure_ends_a_sweep_that_asks_for_it(bakeoff, tmp_path, net):
    sweep = ("-m", "seed=0,1", "model.bad=3,0", "workers=1", *net, *FAST)
    stopped = bakeoff(*sweep, "fail_fast=true")
    assert stopped.status == 1
    assert "fail_fast=true, and a run failed: RuntimeError: broken on purpose" in stopped.err
    assert "1 failed, 3 not started; run the same command again to resume" in stopped.err
    assert statuses(tmp_path) == ["failed"]
    on = bakeoff(*sweep, "fail_fast=false")
    assert on.status == 1
    assert statuses(tmp_path) == ["completed", "completed", "failed", "failed"]
    assert "runs: 4: 2 completed, 0 diverged, 2 failed" in on.out
    assert "\nfailed: RuntimeError: broken on purpose (2 runs, such as model.bad=3/seed=0)\n" in on.out
    assert "\nerrors in full: bakeoff-runs outputs/main status=failed --errors\n" in on.out
    (tmp_path / "mended").touch()
    assert bakeoff(*sweep, "retry=failed").status == 0
    assert bakeoff(*sweep, "fail_fast=true").status == 0


def test_what_is_asked_for_twice_is_trained_once(bakeoff, outcomes):
    result = bakeoff("-m", "optimizer=sgd", "optimizer.lr=0.1,0.10,1e-1", "seed=0,0", *FAST)
    assert result.status == 0, result.err
    assert len(outcomes()) == 1
    assert "1/1 runs" in result.err


@pytest.mark.long
def test_a_pipe_is_told_little(start, net):
    command = start("-m", "seed=0,1", *net, *FAST, "model.noise=hello")
    out, err = command.communicate(timeout=300)
    assert command.returncode == 0, err
    assert err == "bakeoff: 2/2 runs\n"
    assert out.split("\nrank")[0].count("hello") == 12  # what a user's net prints is not lost


@pytest.mark.long
def test_a_terminal_sees_one_line(start, net, tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))  # lines, columns
    command = start(
        *("-m", "model.bad=3,0", "optimizer.lr=0.1,1e30", "loss=mse", "seed=0", *net, "model.nap=0.05"),
        *(*CPU, "trainer.threads=1", "budget.steps=80", "workers=1"),
        stdin=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the last of them has closed it
            break
    os.close(ours)
    command.communicate(timeout=180)
    assert command.returncode == 1
    line = shown.decode()
    states = [state.strip() for state in line.split("\r") if state.strip()]
    assert line.count("\n") == 1
    while states[0].startswith("bakeoff: preparing |"):  # while runs are composed and built, if that takes a while
        states.pop(0)
    assert "| 0/4 runs" in states[0]
    assert re.search(r"1 running, 2 failed, 0:00:\d\d left", line)
    assert re.search(r"4/4 runs, 2 failed, 1 diverged", states[-1])
    assert all(len(state) <= 100 for state in states)


def test_ctrl_c_while_runs_are_found_out_about(start, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    command = start("-m", "seed=0,1", "model._target_=slow.Net", *FAST)
    wait_for(lambda: len(psutil.Process(command.pid).children(recursive=True)) >= 3)
    time.sleep(1)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    _, err = command.communicate(timeout=180)
    assert command.returncode == 130
    assert "bakeoff: stopped" in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("outcome.json"))


def test_ctrl_c_while_runs_are_trained(start, net, tmp_path):
    sweep = ("-m", "seed=0,1,2", *net, *CPU, "trainer.threads=1", "budget.steps=200", "checkpoint_every=0")
    command = start(*sweep, "model.nap=0.05", "workers=2")
    wait_for(lambda: statuses(tmp_path) == ["running", "running"])
    os.killpg(command.pid, signal.SIGINT)
    _, err = command.communicate(timeout=180)
    assert command.returncode == 130, err
    assert "stopping after the next checkpoint; press Ctrl-C again to stop immediately" in err
    assert "stopped: 2 interrupted, 1 not started; run the same command again to resume" in err
    assert statuses(tmp_path) == ["interrupted", "interrupted"]


NEEDS = """
import os, torch

class Net(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        assert os.environ["SCALE"] in ("on", "1"), os.environ["SCALE"]
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
"""


def test_the_environment_of_a_job_reaches_its_building_and_its_training(trained, tmp_path):
    (tmp_path / "needs.py").write_text(NEEDS)
    needs = ("model._target_=needs.Net", *FAST, "workers=1")
    constant = trained("-m", "+hydra.job.env_set.SCALE=on", "seed=0,1", *needs)
    assert (constant.status, len(constant.runs)) == (0, 2), constant.err
    own = trained("-m", '+hydra.job.env_set={SCALE: "${seed}"}', "seed=1,2", "sweep=own", *needs)
    assert own.status == 2  # refused for seed 2, and none was started
    assert "model: 2" in own.err
    assert "Traceback" not in own.err
    missing = trained("-m", "seed=0,1", "sweep=missing", *needs)
    assert (missing.status, missing.err) == (2, "bakeoff: model: KeyError: 'SCALE'\n")

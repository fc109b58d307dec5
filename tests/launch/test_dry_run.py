"""`dry_run=true` says what a command would do, and leaves nothing on the disk."""

import json
import re
from datetime import timedelta
from statistics import mean

import pytest

from bakeoff.launch.dry_run import ranges

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1")
COMMON = "common to all: trainer=cpu trainer.threads=1 budget.steps=6 budget.validations=1"


def everything(root):
    """Path -> size and time of all that lies below."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()} | {
        str(path): None for path in root.rglob("*") if path.is_dir()
    }


@pytest.fixture
def ask(bakeoff, tmp_path):
    """The command with `dry_run=true`, which changes nothing below the working directory."""

    def run(*arguments):
        before = everything(tmp_path)
        result = bakeoff(*arguments, "dry_run=true")
        assert everything(tmp_path) == before
        return result

    return run


def test_a_new_sweep(ask):
    result = ask("-m", "optimizer=sgd,adam", "batch_size=16,full", "seed=0,1,2", *FAST)
    assert (result.status, result.err) == (0, "")
    assert result.out == (
        "task: classification of 10 classes, predictions (N, 10), targets (N,)\n"
        f"{COMMON}\n"
        "\n"
        "state     optimizer  batch_size  seed\n"
        "─────────────────────────────────────\n"
        "to train  sgd        16          0-2\n"
        "to train  sgd        full        0-2\n"
        "to train  adam       16          0-2\n"
        "to train  adam       full        0-2\n"
        "\n"
        "12 runs asked for: 12 to train\n"
        "estimated time: unknown until a run of this sweep has completed\n"
    )


def test_what_is_done_or_twice(ask, bakeoff):
    assert bakeoff("-m", "optimizer=sgd", "seed=0,1", *FAST).status == 0
    result = ask("-m", "optimizer=sgd,adam", "optimizer.lr=0.1,0.10", "seed=0,0,1,2", *FAST, "workers=1")
    table = result.out.split("\n\n")[1].splitlines()[2:]
    assert [" ".join(line.split()) for line in table] == [
        "completed sgd 0 1",
        "duplicate sgd 0 0 0-2",
        "to train sgd 2",
        "to train adam 0-2",
        "duplicate adam 0 0 0-2",
    ]
    assert "16 runs asked for: 4 to train, 2 completed, 10 duplicates\n" in result.out


def record(tmp_path, run):
    path = tmp_path / "outputs" / "main" / run / "outcome.json"
    return path, json.loads(path.read_text())


def put(tmp_path, run, **fields):
    path, found = record(tmp_path, run)
    path.write_text(json.dumps(found | fields))


@pytest.mark.long
def test_the_time_by_hand(ask, bakeoff, tmp_path):
    assert bakeoff("-m", "optimizer=sgd,adam", "seed=0,1", *FAST).status == 0
    seconds = {"sgd": (100.0, 140.0), "adam": (300.0, 340.0)}
    for name, both in seconds.items():
        for seed, value in enumerate(both):
            put(tmp_path, f"optimizer={name}/seed={seed}", seconds=value)
    # two of sgd, two of adam, two of an arm that has none yet; shared out among three workers
    sweep = ("-m", "optimizer=sgd,adam,rmsprop", "seed=2,3", *FAST)
    expected = (2 * mean(seconds["sgd"]) + 2 * mean(seconds["adam"]) + 2 * mean([100, 140, 300, 340])) / 3
    assert ask(*sweep, "workers=3").out.splitlines()[-1] == (
        f"estimated time: {timedelta(seconds=round(expected))} with 3 workers, from 4 completed runs of this sweep"
    )
    # never less than the longest run, and no more workers than runs
    one = ask("-m", "optimizer=adam", "seed=2", *FAST, "workers=8").out.splitlines()[-1]
    assert one == "estimated time: 0:05:20 with 1 worker, from 4 completed runs of this sweep"
    put(tmp_path, "optimizer=adam/seed=1", status="interrupted", seconds=200.0)
    again = ask("-m", "optimizer=sgd,adam", "seed=0,1", *FAST)
    assert "4 runs asked for: 1 to resume, 3 completed\n" in again.out
    assert again.out.splitlines()[-1].startswith("estimated time: 0:01:40 with 1 worker")


def test_runs_that_failed(ask, bakeoff, tmp_path):
    sweep = ("-m", "optimizer=sgd,sgd", "seed=0,1", *FAST)
    assert bakeoff(*sweep).status == 0
    put(tmp_path, "optimizer=sgd/seed=1", status="failed")
    last = ask(*sweep).out.splitlines()[-3:]
    assert last == [
        "4 runs asked for: 1 completed, 1 failed, 2 duplicates",
        "retry=failed trains the failed ones again",
        "nothing to train",
    ]
    assert "4 runs asked for: 1 to train, 1 completed, 2 duplicates\n" in ask(*sweep, "retry=failed").out


def test_runs_that_cannot_be_built(ask):
    result = ask("-m", "data=digits,diabetes", "loss=mse,hinge", "seed=0,1")
    assert result.status == 2
    assert re.search(r"invalid +diabetes +hinge +0 1\n", result.out)
    assert "2 of 8 runs cannot be built; none would be started:\n  loss Hinge is for classification" in result.out
    assert "8 runs asked for: 6 to train, 2 invalid\n" in result.out


@pytest.mark.long
def test_a_long_command_stays_readable(ask):
    long = "+note='" + "x" * 200 + "'"
    result = ask("-m", long, "tuning_note=${note}", "model.widths=[64],[64,32]", "seed=range(12)")
    lines = result.out.splitlines()[1:]  # behind that of the task
    assert lines[0].startswith("common to all: note='xxx")
    assert max(map(len, lines[1:])) < 80
    assert [" ".join(line.split()) for line in lines[4:6]] == ["to train [64] 0-11", "to train [64,32] 0-11"]


def test_one_run(ask, bakeoff, tmp_path):
    run = ("optimizer=adam", "seed=3", *FAST)
    folder = f"outputs/main/optimizer=adam,{','.join(FAST)}/seed=3"
    assert ask(*run).out == f"would train {folder}\n"
    assert bakeoff(*run).status == 0
    assert ask(*run).out == f"already completed: {folder}; nothing to do\n"
    (there,) = tmp_path.rglob("outcome.json")
    put(tmp_path, there.parent.relative_to(tmp_path / "outputs" / "main"), status="interrupted")
    assert ask(*run).out == f"would resume {folder}\n"
    put(tmp_path, there.parent.relative_to(tmp_path / "outputs" / "main"), status="failed")
    assert ask(*run).out == f"already failed: {folder}; nothing to do; retry=failed trains it again\n"
    assert ask(*run, "retry=failed").out == f"would train {folder}\n"
    assert ask("optimizer=adam", "seed=4", *FAST).out == f"would train {folder[:-1]}4\n"
    refused = ask("optimizer.lr=-1")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("bakeoff: optimizer: Invalid learning rate: -1")


FAULTS = """
import torch

class SmallMemory(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))

    def forward(self, x):
        if self.training and len(x) > 20:
            raise torch.OutOfMemoryError("out of memory")
        return self.layer(x)
"""


def test_whether_the_first_step_fits_into_memory(bakeoff, tmp_path):
    (tmp_path / "faults.py").write_text(FAULTS)
    command = ("model._target_=faults.SmallMemory", *FAST, "dry_run=memory")
    before = everything(tmp_path)
    result = bakeoff("-m", *command, "batch_size=16,64", "seed=0,1")
    assert (result.status, result.err) == (0, "")
    assert result.out.split("\n\n")[2].splitlines() == [
        "the first step:",
        "  model=SmallMemory optimizer=sgd batch_size=16: fits",
        "  model=SmallMemory optimizer=sgd batch_size=64: out of memory, 16 fits",
    ]
    alone = bakeoff(*command, "batch_size=64")
    assert (alone.status, alone.err) == (0, "")
    assert alone.out.splitlines()[1] == "model=SmallMemory optimizer=sgd batch_size=64: out of memory, 16 fits"
    assert {path: of for path, of in everything(tmp_path).items() if "__pycache__" not in path} == before


def test_a_sweep_goes_on_where_memory_runs_out(bakeoff, tmp_path):
    (tmp_path / "faults.py").write_text(FAULTS)
    assert bakeoff("-m", "model._target_=faults.SmallMemory", *FAST, "batch_size=64,16").status == 1
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("outcome.json")]
    assert {record["arm"]["batch_size"]: record["status"] for record in records} == {64: "failed", 16: "completed"}
    (error,) = [record["error"] for record in records if record["error"]]
    assert error["type"] == "OutOfMemory"
    assert error["message"].startswith("out of memory with batch_size=64; batch_size=16 fits")


def test_under_another_launcher(bakeoff, tmp_path):
    result = bakeoff("-m", "hydra/launcher=basic", "seed=0,1", "dry_run=true", *FAST)
    assert result.status == 0, result.err
    assert "would train outputs/main/trainer=cpu" in result.out
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in ([], ["multirun.yaml"])


def test_ranges():
    assert ranges(["0", "1", "2", "3", "7", "8", "x", "10", "9"]) == ["0-3", "7 8", "x", "10", "9"]

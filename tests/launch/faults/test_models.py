"""A user's model that fails, or takes its process with it, in one arm: the others complete."""

import json
import time

import pytest

from bakeoff.workers.scheduler import MAX_DEATHS

from .records import records, statuses

BRITTLE = """
import os
import signal
import torch


class Net(torch.nn.Sequential):
    def __init__(self, *, n_in, n_out, fault):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.fault, self.step = fault, 0
        if fault.startswith("unbuilt"):
            with open("deaths", "a") as deaths:
                deaths.write(".")
            if fault == "unbuilt" or os.path.getsize("deaths") == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    def forward(self, x):
        if self.training:
            self.step += 1
            if self.fault == "raises" and self.step == 100:
                raise RuntimeError("no more of this")
            if self.fault == "dies" and self.step == 20:
                with open("deaths", "a") as deaths:
                    deaths.write(".")
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
"""
SETTINGS = ("model._target_=brittle.Net", "budget.steps=200", "trainer=cpu", "trainer.threads=1", "seed=0,1")


def by_fault(sweep) -> dict[str, list[dict]]:
    found = records(sweep).values()
    return {fault: [one for one in found if one["arm"]["model.fault"] == fault] for fault in ("none", "raises", "dies")}


def content(sweep) -> dict:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sweep.glob("*/seed=*/outcome.json")}


@pytest.mark.long
def test_one_that_raises(bakeoff, tmp_path):
    (tmp_path / "brittle.py").write_text(BRITTLE)
    sweep, command = tmp_path / "outputs" / "main", ("-m", "+model.fault=raises,none", *SETTINGS)
    first = bakeoff(*command)
    assert first.status == 1
    assert "runs: 4: 2 completed, 0 diverged, 2 failed" in first.out
    found = by_fault(sweep)
    assert [record["status"] for record in found["none"]] == ["completed"] * 2
    for record in found["raises"]:
        error = record["error"]
        assert (record["status"], error["type"], error["message"]) == ("failed", "RuntimeError", "no more of this")
        assert (error["step"], record["steps"]) == (100, 99)
        assert "brittle.py" in error["traceback"]
    before = content(sweep)

    again = bakeoff(*command)
    assert again.status == 1
    assert "already finished: 2 completed, 2 failed; retry=failed trains the failed ones again" in again.out
    assert content(sweep) == before

    retried = bakeoff(*command, "retry=failed")
    assert retried.status == 1
    changed = [path for path, record in content(sweep).items() if record != before[path]]
    assert sorted(json.loads(path.read_bytes())["arm"]["model.fault"] for path in changed) == ["raises", "raises"]

    (tmp_path / "brittle.py").write_text(BRITTLE.replace('self.fault == "raises" and', "False and"))
    before = content(sweep)
    time.sleep(1.5)  # by its time of writing a record of the last second is the new command's
    repaired = bakeoff(*command)
    assert repaired.status == 0, repaired.err
    assert statuses(sweep) == ["completed"] * 6 + ["failed"] * 2
    assert {path: record for path, record in content(sweep).items() if path in before} == before


def test_one_that_takes_its_process_with_it(bakeoff, tmp_path):
    (tmp_path / "brittle.py").write_text(BRITTLE)
    sweep, command = tmp_path / "outputs" / "main", ("-m", "+model.fault=dies,none", "workers=2", *SETTINGS)
    result = bakeoff(*command)
    assert result.status == 1
    assert "Traceback" not in result.err + result.out
    found = by_fault(sweep)
    assert [record["status"] for record in found["none"]] == ["completed"] * 2
    assert (tmp_path / "deaths").read_text() == "." * 2 * MAX_DEATHS
    for record in found["dies"]:
        assert record["status"] == "failed"
        assert record["error"]["type"] == "ProcessDied"
        assert record["error"]["message"].startswith("the process that trained it was killed by SIGKILL")
        assert record["error"]["message"].endswith("3 times")
    again = bakeoff(*command)
    assert again.status == 1
    assert "already finished: 2 completed, 2 failed" in again.out


@pytest.mark.long
def test_one_that_takes_its_process_with_it_while_it_is_built(bakeoff, tmp_path):
    """Always: no run is started. Once, as it happens for want of memory: another process builds it."""
    (tmp_path / "brittle.py").write_text(BRITTLE)
    always = bakeoff("-m", "+model.fault=unbuilt,none", "workers=2", *SETTINGS)
    assert always.status == 2
    assert "2 of 4 runs cannot be built; none was started" in always.err
    assert "the process that built it was killed by SIGKILL" in always.err
    (tmp_path / "deaths").unlink()
    once = bakeoff("-m", "+model.fault=unbuilt_once,none", "workers=2", *SETTINGS)
    assert once.status == 0, once.err
    assert statuses(tmp_path / "outputs" / "main") == ["completed"] * 4

"""A sweep whose runs take two devices each, trained by workers."""

import json

import pytest


@pytest.mark.long
def test_runs_of_two_processes_in_one_worker(bakeoff, tmp_path):
    command = ("-m", "seed=0,1", "trainer=cpu", "trainer.threads=1", "trainer.devices=2", "budget.steps=6", "workers=1")
    result = bakeoff(*command)
    assert result.status == 0, result.err
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("outcome.json")]
    assert [record["status"] for record in records] == ["completed"] * 2
    assert {record["process"] for record in records} == {
        records[0]["process"]
    }  # of the first process of each, a worker
    assert {record["samples"] for record in records} == {1077 + 256}
    for folder in tmp_path.rglob("seed=*"):
        assert len(list(folder.glob("events.out.tfevents.*"))) == 1
        assert {path.name for path in (folder / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}

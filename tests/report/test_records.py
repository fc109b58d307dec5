import json
import os
import socket
import subprocess
import sys
import time

import pytest

from bakeoff.errors import UserError
from bakeoff.report.records import read_run, read_sweep
from bakeoff.runs import Outcome
from bakeoff.runs.lease import acquire
from bakeoff.runs.outcome import STATUSES


def only_unreadable(folder):
    sweep = read_sweep(folder)
    assert sweep.records == ()
    (run,) = sweep.unreadable
    return run


def test_a_record_holds_what_the_file_says(write_run, tmp_path):
    arm = {"optimizer": "adam", "optimizer.lr": 0.01, "batch_size": "full", "nesterov": True}
    run = write_run("optimizer=adam", 3, arm=arm, epochs=2.5)
    (record,) = read_sweep(tmp_path).records
    assert (record.path, record.folder, record.seed, record.status) == (run, "optimizer=adam", 3, "completed")
    assert record.arm == arm
    assert (record.steps, record.epochs, record.samples, record.seconds) == (600, 2.5, 76800, 1.5)
    assert record.metrics["val/accuracy"] == {"final": 0.9, "best": 0.9, "best_step": 500}
    assert (record.final("val/accuracy"), record.final("no/such")) == (0.9, None)
    assert (record.identity, record.device, record.error) == ("id3", "cpu", None)
    assert (record.best("val/accuracy"), record.best("val/loss")) == (0.9, None)


def test_reads_what_a_run_writes_at_its_start_and_at_its_end(tmp_path):
    run = tmp_path / "optimizer=adam" / "seed=3"
    run.mkdir(parents=True)
    written = Outcome(arm={"optimizer": "adam", "betas": [0.9, 0.99]}, seed=3, identity="ab", overrides=[])
    written.write(run)
    with acquire(run):
        (record,) = read_sweep(tmp_path).records
    assert (record.status, record.steps, record.metrics) == ("running", 0, {})
    written.status, written.steps, written.epochs = "diverged", 7, 0.5
    written.metrics = {"val/accuracy": {"final": float("nan"), "best": 0.5, "best_step": 3}}
    written.error = {"type": "Divergence", "message": "loss is nan", "step": 7, "traceback": None}
    written.write(run)
    (record,) = read_sweep(tmp_path).records
    for name in ("status", "arm", "seed", "identity", "steps", "epochs", "samples", "seconds", "error", "device"):
        assert getattr(record, name) == getattr(written, name)
    assert record.metrics == {"val/accuracy": {"final": None, "best": 0.5, "best_step": 3}}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_read(write_run, tmp_path, status):
    with acquire(write_run("default", status=status)):  # a lease makes a run live, and never changes how it ended
        (record,) = read_sweep(tmp_path).records
    assert record.status == status
    assert (record.error is not None) == (status in {"diverged", "failed"})


def test_a_live_run_is_where_its_lease_says(write_run, tmp_path, monkeypatch):
    monkeypatch.setattr("bakeoff.runs.lease.HEARTBEAT_INTERVAL", 0.01)
    run = write_run("default", status="running", host="earlier", process=1)
    with acquire(run) as lease:
        lease.start_heartbeat(lambda: 0.4321)
        deadline = time.monotonic() + 60
        while (record := read_run(run)).fraction_done != 0.4321:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert (record.status, record.error) == ("running", None)
    assert (record.host, record.process) == (socket.gethostname(), os.getpid())


def test_a_run_whose_process_has_died_is_interrupted(write_run, tmp_path):
    code = """
import os, sys
from pathlib import Path
from bakeoff.runs.lease import acquire
acquire(Path(sys.argv[1]))
os.kill(os.getpid(), 9)
"""
    killed = write_run("killed", status="running", host="here", process=7)
    never_leased = write_run("old", status="running")
    assert subprocess.run([sys.executable, "-c", code, killed], check=False).returncode == -9
    assert (killed / "lease.0").exists()
    for run in (killed, never_leased):
        record = read_run(run)
        assert record.status == "interrupted"
        assert record.error == {
            "type": "ProcessDied",
            "message": "its process has died; run the same command again to resume",
            "step": None,
            "traceback": None,
        }
    assert (read_run(killed).host, read_run(killed).process, read_run(killed).fraction_done) == ("here", 7, None)


def test_a_lease_that_cannot_be_read_yet_is_a_live_one(write_run, tmp_path):
    run = write_run("default", status="running")
    (run / "lease.0").write_text("")
    record = read_run(run)
    assert (record.status, record.fraction_done) == ("running", None)


def test_a_run_that_ends_between_two_reads_has_ended(write_run, tmp_path, monkeypatch):
    """It writes its outcome, then releases its lease: who saw it running finds no lease."""
    run = write_run("default", status="running")
    ended = json.dumps(json.loads((run / "outcome.json").read_text()) | {"status": "completed"})

    def holder_of(folder):
        (folder / "outcome.json").write_text(ended)

    monkeypatch.setattr("bakeoff.report.records.holder_of", holder_of)
    assert (read_run(run).status, read_run(run).error) == ("completed", None)


def test_when_and_where_a_run_was_made(write_run, tmp_path):
    record = read_run(write_run("new", host="gpu-3", process=4711))
    assert (record.host, record.process, record.fraction_done) == ("gpu-3", 4711, None)
    assert (record.started, record.ended) == ("2026-11-22T10:00:00Z", "2026-11-22T10:00:02Z")
    run = write_run("old")
    fields = json.loads((run / "outcome.json").read_text())
    (run / "outcome.json").write_text(json.dumps({k: v for k, v in fields.items() if k not in ("started", "ended")}))
    record = read_run(run)
    assert (record.host, record.process, record.started, record.ended) == ("", None, "", None)


def test_error_may_be_absent_and_unknown_fields_are_ignored(write_run, tmp_path):
    run = write_run("default", future_field=[1, 2])
    fields = json.loads((run / "outcome.json").read_text())
    del fields["error"], fields["device"]
    (run / "outcome.json").write_text(json.dumps(fields))
    (record,) = read_sweep(tmp_path).records
    assert (record.error, record.device) == (None, "")


def test_a_metric_that_was_not_finite_is_none(write_run, tmp_path):
    metrics = {"val/accuracy": {"final": None, "best": 0.5, "best_step": 10}}
    write_run("default", status="diverged", metrics=metrics)
    (record,) = read_sweep(tmp_path).records
    assert record.final("val/accuracy") is None


def test_order_is_by_arm_folder_and_then_by_number_of_the_seed(write_run, tmp_path):
    for folder, seed in [("b", 10), ("b", 9), ("a", 2), ("c", 0), ("a", 10)]:
        write_run(folder, seed)
    read = [(record.folder, record.seed) for record in read_sweep(tmp_path).records]
    assert read == [("a", 2), ("a", 10), ("b", 9), ("b", 10), ("c", 0)]


def test_what_is_no_run_is_ignored(write_run, tmp_path):
    write_run("default")
    (tmp_path / "multirun.yaml").write_text("")
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    (tmp_path / "plots" / "old").mkdir(parents=True)
    (tmp_path / "default" / "seed=1").write_text("a file, not a folder")
    sweep = read_sweep(tmp_path)
    assert (len(sweep.records), sweep.unreadable) == (1, ())


DAMAGED = {
    "empty": ("", "empty"),
    "blank": (" \n", "empty"),
    "half written": ('{"schema": 1, "status": "compl', "cut short"),
    "text": ("not json", "not valid JSON"),
    "binary": (b"\x80\x81\xff\xfe", "not UTF-8"),
    "a list": ("[1, 2]", "must hold an object, got [1, 2]"),
    "a number": ("7", "must hold an object, got 7"),
    "NaN": ('{"schema": NaN}', "NaN is not JSON"),
    "nested": ("[" * 100_000, "nested too deeply"),
    "no schema": ("{}", "schema is missing"),
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_unreadable(write_run, tmp_path, content, reason):
    run = write_run("default", content=content)
    unreadable = only_unreadable(tmp_path)
    assert unreadable.path == run
    assert reason in unreadable.reason


WRONG = {
    "newer schema": ({"schema": 2}, "schema must be 1, got 2: another version"),
    "schema true": ({"schema": True}, "schema must be an integer, got true"),
    "status": ({"status": "won"}, "status must be one of completed, diverged"),
    "seed text": ({"seed": "0"}, 'seed must be an integer, got "0"'),
    "other seed": ({"seed": 5}, "seed must agree with the folder's name, got 5"),
    "host": ({"host": 7}, "host must be a string, got 7"),
    "process": ({"process": "7"}, 'process must be an integer, got "7"'),
    "started": ({"started": 0}, "started must be a string, got 0"),
    "metric direction": ({"metric_direction": "up"}, "metric_direction must be min or max, got 'up'"),
    "arm": ({"arm": None}, "arm must be an object, got null"),
    "metrics": ({"metrics": []}, "metrics must be an object"),
    "a bare metric": (
        {"metrics": {"val/loss": 0.3}},
        "metrics: val/loss must be an object with `final`, got 0.3",
    ),
    "no final": ({"metrics": {"val/loss": {"best": 1}}}, "must be an object with `final`"),
    "metric text": (
        {"metrics": {"val/loss": {"final": "nan"}}},
        'val/loss: final must be a number, got "nan"',
    ),
    "metric bool": ({"metrics": {"val/loss": {"final": True}}}, "val/loss: final must be a number, got true"),
    "metric too large": (
        {"metrics": {"val/loss": {"final": 10**400}}},
        "val/loss: final must be finite or null",
    ),
    "steps": ({"steps": 1.5}, "steps must be an integer, got 1.5"),
    "seconds": ({"seconds": None}, "seconds must be a number, got null"),
    "error": ({"error": "boom"}, 'error must be an object, got "boom"'),
    "identity": ({"identity": ["x" * 100]}, "…"),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_unreadable_and_named(write_run, tmp_path, change, reason):
    write_run("default", **({"seed": 0} | {k: v for k, v in change.items() if k != "seed"}))
    path = tmp_path / "default" / "seed=0" / "outcome.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert reason in only_unreadable(tmp_path).reason


@pytest.mark.parametrize("field", ["status", "arm", "seed", "identity", "metrics", "steps", "samples"])
def test_a_missing_field_is_unreadable_and_named(write_run, tmp_path, field):
    path = write_run("default") / "outcome.json"
    fields = json.loads(path.read_text())
    del fields[field]
    path.write_text(json.dumps(fields))
    assert only_unreadable(tmp_path).reason == f"{field} is missing"


def test_a_number_beyond_floats_is_unreadable(write_run, tmp_path):
    path = write_run("default") / "outcome.json"
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 1e999'))
    assert "seconds must be finite" in only_unreadable(tmp_path).reason


def test_every_cut_of_a_file_is_unreadable(write_run, tmp_path):
    path = write_run("default") / "outcome.json"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert only_unreadable(tmp_path).reason


def test_a_run_folder_without_outcome_is_unreadable(tmp_path):
    (tmp_path / "default" / "seed=0").mkdir(parents=True)
    assert only_unreadable(tmp_path).reason == "no outcome.json"


def test_an_outcome_that_is_a_folder_is_unreadable(tmp_path):
    (tmp_path / "default" / "seed=0" / "outcome.json").mkdir(parents=True)
    assert "cannot be read" in only_unreadable(tmp_path).reason


def test_damage_hides_no_other_run(write_run, tmp_path):
    write_run("a", 0)
    write_run("a", 1, content="{")
    write_run("b", 0)
    sweep = read_sweep(tmp_path)
    assert [(record.folder, record.seed) for record in sweep.records] == [("a", 0), ("b", 0)]
    assert [(run.folder, run.path.name) for run in sweep.unreadable] == [("a", "seed=1")]


def test_a_tuning_note_is_read_from_the_sweep(write_run, tmp_path):
    write_run("default")
    assert read_sweep(tmp_path).tuning_note is None
    (tmp_path / "policy.txt").write_text("as versions before wrote it\n")
    assert read_sweep(tmp_path).tuning_note == "as versions before wrote it"
    (tmp_path / "tuning_note.txt").write_bytes(b"best of 3 learning rates\xff\n\n")
    assert read_sweep(tmp_path).tuning_note == "best of 3 learning rates�"


@pytest.mark.parametrize("name", ["missing", "file"])
def test_no_folder_is_the_users_to_repair(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"no such folder: .*{name}"):
        read_sweep(tmp_path / name)

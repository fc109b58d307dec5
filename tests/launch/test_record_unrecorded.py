"""A run whose worker died before there was a record of it."""

from bakeoff.launch.record_unrecorded import record_unrecorded
from bakeoff.report.records import read_sweep
from bakeoff.runs import Outcome
from bakeoff.runs.lease import acquire, is_leased
from bakeoff.workers import BuiltRun, Job, RunResult

DIED = RunResult("failed", reason="its worker died of signal 9")


def built(folder):
    job = Job(0, ("optimizer=adam", "seed=3"))
    return BuiltRun(job, str(folder), "abc", {}, "val/accuracy", "max", b"")


def test_it_is_in_every_report(tmp_path):
    folder = tmp_path / "sweep" / "optimizer=adam" / "seed=3"
    record_unrecorded(built(folder), DIED)
    (record,) = read_sweep(tmp_path / "sweep").records
    assert (record.status, record.seed, record.arm) == ("failed", 3, {"optimizer": "adam"})
    assert record.error["message"] == DIED.reason
    assert not is_leased(folder)


def test_what_is_there_is_kept(tmp_path):
    folder = tmp_path / "seed=3"
    folder.mkdir()
    Outcome({}, 3, "xyz", [], status="completed").write(folder)
    record_unrecorded(built(folder), DIED)
    assert Outcome.read(folder).identity == "xyz"


def test_a_run_that_a_live_process_trains_is_left_alone(tmp_path):
    folder = tmp_path / "seed=3"
    with acquire(folder):
        record_unrecorded(built(folder), DIED)
    assert Outcome.read(folder) is None


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    record_unrecorded(built(tmp_path / "file" / "seed=3"), DIED)  # said by the launcher alone

"""Which runs a command has trained is known from their records, not from times."""

import os

from bakeoff.launch.summary import failed_folders, record_contents
from bakeoff.report.records import read_sweep
from bakeoff.runs import Outcome


def failure(sweep, arm, process):
    folder = sweep / arm / "seed=0"
    folder.mkdir(parents=True, exist_ok=True)
    Outcome({}, 0, arm, [], status="failed", process=process, error={"type": "E", "message": "m"}).write(folder)
    return folder


def test_failures_of_earlier_commands_are_not_this_ones_whatever_the_times(tmp_path):
    earlier, again = failure(tmp_path, "a=1", 1), failure(tmp_path, "a=2", 1)
    before = record_contents(tmp_path)
    new = failure(tmp_path, "a=3", 2)
    failure(tmp_path, "a=2", 2)  # trained once more, and failed once more
    os.utime(new / "outcome.json", (0, 0))
    os.utime(earlier / "outcome.json")
    assert failed_folders(read_sweep(tmp_path).records, before) == {str(again), str(new)}


def test_a_sweep_that_is_not_there_yet_has_no_records(tmp_path):
    assert record_contents(tmp_path / "new") == {}

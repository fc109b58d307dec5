"""What a server keeps of a sweep is read again whenever a file is another one, whatever its time."""

import json
import os

import pytest

from bakeoff.report.reader import SweepReader
from bakeoff.runs.files import write_atomically
from bakeoff.tensorboard import EventFile


def replace_within_a_tick(path, text):
    """By a file of the same size and time."""
    before = path.stat()
    write_atomically(path, text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_record_of_the_same_size_and_time_is_read_again(write_run, tmp_path):
    run = write_run("default", status="completed", steps=10)
    reader = SweepReader()
    text = json.dumps(json.loads((run / "outcome.json").read_text()) | {"steps": 20})
    (run / "outcome.json").write_text(text.replace('"steps": 20', '"steps": 10'))
    first = reader.snapshot(tmp_path)
    replace_within_a_tick(run / "outcome.json", text)
    second = reader.snapshot(tmp_path)
    assert [snapshot.sweep.records[0].steps for snapshot in (first, second)] == [10, 20]
    assert first.version != second.version


def test_curves_of_the_same_size_and_time_are_read_again(tmp_path):
    def curve(folder, number):
        file = EventFile(folder)
        file.scalars({"val/loss": number}, 1, wall_time=1.0)
        file.close()
        return file.path

    path, reader = curve(tmp_path / "run", 1.0), SweepReader()
    assert reader.curves(tmp_path / "run")["val/loss"].values.tolist() == [1.0]
    replace_within_a_tick(path, curve(tmp_path / "other", 2.0).read_bytes())
    assert reader.curves(tmp_path / "run")["val/loss"].values.tolist() == [2.0]


def test_what_did_not_change_is_not_read_again(write_run, tmp_path, monkeypatch):
    write_run("default", status="completed")
    reader = SweepReader()
    before = reader.snapshot(tmp_path)
    monkeypatch.setattr("bakeoff.report.reader.read_run", lambda run: pytest.fail("read again"))
    assert reader.snapshot(tmp_path).version == before.version

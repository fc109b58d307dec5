"""Event files against TensorBoard's own reader."""

import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bakeoff.report.curves import read_curves
from bakeoff.tensorboard import EventFile


def read(folder, tag):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [(e.step, e.value) for e in events.Scalars(tag)]


def test_what_is_written_is_read(tmp_path):
    file = EventFile(tmp_path / "run")
    for step in range(2000):
        file.scalars({"val/loss": step / 2}, step)
    file.close()
    assert read(tmp_path / "run", "val/loss") == [(step, step / 2) for step in range(2000)]


def test_numbers_that_are_not_finite_stay_what_they_are(tmp_path):
    file = EventFile(tmp_path)
    for step, value in enumerate((math.nan, math.inf, -math.inf)):
        file.scalars({"x": value}, step)
    file.close()
    values = [value for _, value in read(tmp_path, "x")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_a_closed_file_is_appended_to(tmp_path):
    file = EventFile(tmp_path)
    file.scalars({"x": 1.0}, 1)
    file.close()
    file.scalars({"x": 2.0}, 2)
    file.close()
    assert read(tmp_path, "x") == [(1, 1.0), (2, 2.0)]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_running_training_can_be_watched(tmp_path):
    file = EventFile(tmp_path, flush_secs=0.0)
    file.scalars({"x": 1.0}, 1)
    assert read(tmp_path, "x") == [(1, 1.0)]
    file.close()


def test_two_files_of_one_second_have_two_names(tmp_path):
    for _ in range(3):
        file = EventFile(tmp_path)
        file.scalars({"x": 1.0}, 1)
        file.close()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("clock", [0, -3])
def test_a_file_that_follows_another_sorts_behind_it(tmp_path, monkeypatch, clock):
    """A process with a lower number resumes a run within the second, or on a machine whose clock is behind."""
    for process, seconds, steps in ((99, 0, range(4)), (100, clock, range(2, 8))):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        monkeypatch.setattr("time.time", lambda seconds=seconds: 1_700_000_000.0 + seconds)
        file = EventFile(tmp_path)
        if steps[0]:
            file.restart(steps[0])
        for step in steps:
            file.scalars({"train/loss": process + step}, step)
        file.close()
    points = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload().Scalars("train/loss")
    expected = [99, 100, *(100 + step for step in range(2, 8))]
    assert [(point.step, point.value) for point in points] == list(enumerate(expected))
    assert read_curves(tmp_path)["train/loss"].values.tolist() == expected


def test_nothing_is_made_for_nothing(tmp_path):
    file = EventFile(tmp_path / "run")
    file.flush()
    file.close()
    assert not (tmp_path / "run").exists()


def test_tags_at_steps(tmp_path):
    file = EventFile(tmp_path)
    file.scalars({"val/accuracy": 0.5, "lr": 0.1}, 7)
    file.close()
    assert read(tmp_path, "val/accuracy") == [(7, 0.5)]
    assert read(tmp_path, "lr") == [(7, pytest.approx(0.1))]

"""An event file that replaces others, for readers that come later and for one that has read them."""

import os

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bakeoff.overview.rewrite import replace_events, written_state

STATE = "a" * 64


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return events


def test_a_reader_that_had_read_the_old_points_forgets_them(tmp_path):
    def write(steps):
        with replace_events(tmp_path, STATE) as file:
            for step in range(steps):
                file.scalars({"x": float(steps)}, step)

    write(20)
    events = read(tmp_path)
    assert len(events.Scalars("x")) == 20
    write(5)
    events.Reload()
    assert [event.value for event in events.Scalars("x")] == [5.0] * 5
    assert [event.value for event in read(tmp_path).Scalars("x")] == [5.0] * 5


def test_old_files_are_removed_when_no_reader_can_be_at_them(tmp_path):
    for _ in range(3):
        with replace_events(tmp_path, STATE) as file:
            file.scalars({"x": 1.0}, 1)
    first, second, third = sorted(tmp_path.iterdir())
    assert [path.stat().st_size > 0 for path in (first, second, third)] == [False, False, True]
    os.utime(first, (0, 0))
    with replace_events(tmp_path, STATE) as file:
        file.scalars({"x": 1.0}, 1)
    assert not first.exists()
    assert second.exists()


def test_what_a_whole_file_was_made_from_is_known(tmp_path):
    assert written_state(tmp_path) is None
    for state in (STATE, "b" * 64):
        with replace_events(tmp_path, state) as file:
            file.scalars({"x": 1.0}, 1)
        assert written_state(tmp_path) == state


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_file_that_is_cut_short_says_nothing(tmp_path, cut):
    with replace_events(tmp_path, STATE) as file:
        file.scalars({"x": 1.0}, 1)
    os.truncate(file.path, file.path.stat().st_size - cut)
    assert written_state(tmp_path) is None


def test_the_last_file_by_name_counts_whatever_the_times(tmp_path):
    """Readers go by the names: a clock that was set back in between changes nothing."""
    for state in (STATE, "b" * 64):
        with replace_events(tmp_path, state) as file:
            file.scalars({"x": 1.0}, 1)
    os.utime(file.path, (0, 0))
    assert written_state(tmp_path) == "b" * 64


def test_an_error_leaves_what_was_there(tmp_path):
    with replace_events(tmp_path, STATE) as file:
        file.scalars({"x": 1.0}, 1)

    def fill_the_disk() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), replace_events(tmp_path, "b" * 64):
        fill_the_disk()
    assert written_state(tmp_path) == STATE

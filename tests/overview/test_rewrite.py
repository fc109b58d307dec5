"""An event file that replaces others, for readers that come later and for one that has read them."""

import os

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bakeoff.overview.rewrite import replace_events


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return events


def test_a_reader_that_had_read_the_old_points_forgets_them(tmp_path):
    def write(steps):
        with replace_events(tmp_path) as file:
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
        with replace_events(tmp_path) as file:
            file.scalars({"x": 1.0}, 1)
    first, second, third = sorted(tmp_path.iterdir())
    assert [path.stat().st_size > 0 for path in (first, second, third)] == [False, False, True]
    os.utime(first, (0, 0))
    with replace_events(tmp_path) as file:
        file.scalars({"x": 1.0}, 1)
    assert not first.exists()
    assert second.exists()

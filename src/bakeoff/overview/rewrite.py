"""Replaces the event files of a folder, also for a TensorBoard that is reading them already.

Every file ends in a record that says what it was made from (`bakeoff.overview.state`): a file that has one is whole.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.events import read_closing_message

PATTERN = "events.out.tfevents.*"
REMOVE_AFTER = 60.0  # seconds; a server that reads every 5 s is at the next file long before


@contextmanager
def replace_events(folder: Path, state: str) -> Iterator[EventFile]:
    """A new event file in `folder`, made from what has this `state` (64 characters), which replaces older ones.

    It makes readers forget the points that they have read. The older files are emptied at once, and removed a minute
    later: if the file that TensorBoard's Python reader is at were gone, it would wait for it forever.
    """
    old = list(folder.glob(PATTERN))
    file = EventFile(folder, flush_secs=math.inf)
    try:
        file.restart()
        yield file
        file.closing_message(state)
        file.close()
    except BaseException:
        _discard(file)
        raise
    assert file.path is not None
    now = file.path.stat().st_mtime  # by the clock of the file system, as the times of the others are
    for path in old:
        with suppress(FileNotFoundError):  # another process of the same sweep removed it
            if path.stat().st_size:
                os.truncate(path, 0)
            elif path.stat().st_mtime < now - REMOVE_AFTER:  # a clean-up alone: an empty file shows nothing
                path.unlink()


def written_state(folder: Path) -> str | None:
    """What the file that readers see in `folder` was made from; None if there is none, or it is not whole.

    Readers take files in the order of their names, and the last one makes them forget the others.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        with suppress(FileNotFoundError):
            if path.stat().st_size:
                return read_closing_message(path)
    return None


def _discard(file: EventFile) -> None:
    """A part of a file would hide the whole one before it."""
    with suppress(OSError):  # on a full disk, what is still to be written on closing
        file.close()
    if file.path is not None:
        file.path.unlink(missing_ok=True)

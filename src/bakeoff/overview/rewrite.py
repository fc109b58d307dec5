"""Replaces the event files of a folder, also for a TensorBoard that is reading them already."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakeoff.tensorboard import EventFile

PATTERN = "events.out.tfevents.*"
REMOVE_AFTER = 60.0  # seconds; a server that reads every 5 s is at the next file long before


@contextmanager
def replace_events(folder: Path) -> Iterator[EventFile]:
    """A new event file in `folder`, which replaces older ones.

    It makes readers forget the points that they have read. The older files are emptied at once, and removed a minute
    later: if the file that TensorBoard's Python reader is at were gone, it would wait for it forever.
    """
    old = list(folder.glob(PATTERN))
    file = EventFile(folder, flush_secs=math.inf)
    try:
        file.restart()
        yield file
        file.close()
    except BaseException:
        _discard(file)
        raise
    for path in old:
        with suppress(FileNotFoundError):  # another process of the same sweep removed it
            if path.stat().st_size:
                os.truncate(path, 0)
            elif path.stat().st_mtime < time.time() - REMOVE_AFTER:
                path.unlink()
    if file.path is not None:
        os.utime(file.path)  # later than the change that this was to the folder


def _discard(file: EventFile) -> None:
    """A part of a file would hide the whole one before it."""
    with suppress(OSError):  # on a full disk, what is still to be written on closing
        file.close()
    if file.path is not None:
        file.path.unlink(missing_ok=True)

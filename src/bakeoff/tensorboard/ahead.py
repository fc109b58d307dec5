"""Events whose step is ahead of that of their run, of a module that counts otherwise: by the steps of two optimizers.

A run that is resumed tells readers to forget all points from some step on, and with them such events that were written
before its checkpoint: those are written again.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tensorboard.compat.proto.event_pb2 import Event, SessionLog

from bakeoff.tensorboard.events import PREFIX
from bakeoff.tensorboard.tfrecord import read_records


class Position(NamedTuple):
    """A place in the event files of a run: the name of one, and how much of it is written."""

    file: str
    size: int


def events_ahead(folder: Path, until: Position, step: int) -> list[Event]:
    """What readers see of the events from `step` on, up to a place in the event files of a run."""
    found: list[Event] = []
    for path in sorted(folder.glob(f"{PREFIX}*")):
        if path.name > until.file:
            break
        try:
            content = path.read_bytes()
        except OSError:  # a curve that cannot be read is no reason to lose a run
            continue
        for data in read_records(content[: until.size] if path.name == until.file else content):
            event = Event.FromString(data)
            if event.session_log.status == SessionLog.START:
                found = [kept for kept in found if kept.step < event.step]
            elif event.step >= step and event.HasField("summary"):
                found.append(event)
    return found

"""Writes TensorBoard event files directly: no queue, no thread, no TensorFlow.

torch's `SummaryWriter` costs over 100 us a scalar and a thread a file; a record written here costs about 3, and every
reader of event files reads it.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from bakeoff.tensorboard.tfrecord import encode_record, read_records

PREFIX = "events.out.tfevents."
_count = itertools.count()  # a file made anew in the second in which it was deleted must differ in name


class EventFile:
    """One `events.out.tfevents.*` file in `folder`, made when the first value is written.

    What is written reaches the disk at `flush`, at `close`, and once `flush_secs` have passed.
    """

    def __init__(self, folder: Path, flush_secs: float = 2.0) -> None:
        self.folder, self.flush_secs = folder, flush_secs
        self.path: Path | None = None
        self.size = 0  # bytes written, be they on the disk or not
        self._file: BinaryIO | None = None
        self._flushed = time.monotonic()
        self.last_step = 0  # the largest that was written, by whoever counts steps how

    def scalars(self, values: Mapping[str, float], step: int, wall_time: float | None = None) -> None:
        """Writes one point of each curve, tag -> value, in one record; NaN and infinity are written as they are."""
        self.summary(Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items()]), step, wall_time)

    def summary(self, summary: Summary, step: int = 0, wall_time: float | None = None) -> None:
        """Writes a summary of any kind; those of text, images and histograms are made in `summaries`."""
        self.event(Event(wall_time=wall_time or time.time(), step=step, summary=summary))

    def event(self, event: Event) -> None:
        """Writes an event of any kind."""
        self.last_step = max(self.last_step, event.step)
        self._write(event)
        if time.monotonic() - self._flushed > self.flush_secs:
            self.flush()

    def restart(self, step: int = 0) -> None:
        """Tells readers to forget the points that older files of this folder hold from `step` on."""
        self._write(Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START)))

    def closing_message(self, message: str) -> None:
        """The last record of a file, by which `read_closing_message` knows that it is whole; TensorBoard shows none."""
        self._write(_closing_event(message, time.time()))

    def flush(self) -> None:
        """Passes everything written so far to the operating system."""
        if self._file is not None:
            self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flushes and closes; a later value is appended to the same file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, event: Event) -> None:
        if self._file is None:
            self._file = self._open()
        self._write_record(self._file, event)

    def _write_record(self, file: BinaryIO, event: Event) -> None:
        record = encode_record(event.SerializeToString())
        file.write(record)
        self.size += len(record)

    def _open(self) -> BinaryIO:
        if self.path is not None:
            return self.path.open("ab")
        now = time.time()
        self.folder.mkdir(parents=True, exist_ok=True)
        second = max(int(now), _last_second(self.folder) + 1)
        name = f"{PREFIX}{second:010d}.{socket.gethostname()}.{os.getpid()}.{next(_count):06d}"
        self.path = self.folder / name
        file = self.path.open("wb")
        self._write_record(file, Event(wall_time=now, file_version="brain.Event:2"))
        return file


def read_closing_message(path: Path, length: int = 64) -> str | None:
    """The closing message of `length` ASCII characters at the end of an event file; None if there is none.

    Raises:
        OSError: the file cannot be read.

    """
    size = len(encode_record(_closing_event("x" * length, 1.0).SerializeToString()))
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        for data in read_records(file.read(size)):
            log = Event.FromString(data).session_log
            return log.msg if log.status == SessionLog.STOP else None
    return None


def _closing_event(message: str, wall_time: float) -> Event:
    return Event(wall_time=wall_time, session_log=SessionLog(status=SessionLog.STOP, msg=message))


def _last_second(folder: Path) -> int:
    """The second in the name of the newest event file in `folder`; 0 if there is none.

    Readers take the files of a folder in the order of their names, and forget at `restart` what they have read: a
    process that resumes a run within the second, or by a clock that is behind, must not sort before the one it follows.
    """
    seconds = (path.name.removeprefix(PREFIX).partition(".")[0] for path in folder.glob(f"{PREFIX}*"))
    return max((int(second) for second in seconds if second.isdigit()), default=0)

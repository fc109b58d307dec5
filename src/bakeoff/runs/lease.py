"""Which process trains a run: a small file in the run's folder, kept fresh by a heartbeat.

    lease.0, lease.1, ...       the highest number counts

To take over from a dead process is to create the next number, which a file system gives to one process alone (O_EXCL),
on one machine as on several that share it. A process removes its own lease at its end, and nobody else's ever: were the
leases of the dead removed, a process that has been slow since it read them could create a number that is used again.
They are marked as superseded instead, and a process that only seemed dead finds out. A process of this machine is dead
if it does not exist; one of another machine, if it sent no heartbeat for `DEAD_AFTER` seconds: by the clock of the file
system, which is that of the heartbeats, for whoever would take over; by this machine's for those who only read.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bakeoff.runs.heartbeat import HEARTBEAT
from bakeoff.runs.process import machine, start_time

HEARTBEAT_INTERVAL = 5.0  # seconds
DEAD_AFTER = 60.0  # seconds
PREFIX = "lease."
SUPERSEDED = ""  # in place of a token
MAX_TRIES = 20


@dataclass(frozen=True)
class Holder:
    """The process that trains a run. `fraction_done` is the part of the budget spent at its last heartbeat."""

    host: str
    process: int
    machine: str  # tells this boot of this machine, and the container, from others of its name
    since: float  # when the process started (`bakeoff.runs.process`): process numbers are used again
    token: str
    fraction_done: float = 0.0


class Lease:
    """The right to train a run, held by this process until `release`; a context manager."""

    def __init__(self, folder: Path, number: int, holder: Holder) -> None:
        self.folder, self.number, self.holder = folder, number, holder
        self.path = folder / f"{PREFIX}{number}"
        self.lost = False  # another process took this one for dead, and trains the run now
        self._fraction_done: Callable[[], float] | None = None
        self._lock, self._is_released = threading.Lock(), False

    def start_heartbeat(self, fraction_done: Callable[[], float] | None = None) -> None:
        """Keeps the lease fresh from now on; `fraction_done` gives the part of the budget that is spent."""
        self._fraction_done = fraction_done
        HEARTBEAT.add(self, HEARTBEAT_INTERVAL)

    def renew(self) -> None:
        """Called by the heartbeat."""
        with suppress(Exception):  # a run that cannot say how far it is sends heartbeats all the same
            if self._fraction_done is not None:
                self.holder = replace(self.holder, fraction_done=self._fraction_done())
        with suppress(OSError), self._lock:  # a full disk does not end a run that may not need it
            if not self._is_released and self.is_held():
                _write(os.open(self.path, os.O_WRONLY), self.holder)

    def is_held(self) -> bool:
        """Whether this process still holds the lease. It is lost to a process that could not see this one alive."""
        try:
            found, is_last = _read(self.path), max(_numbers(self.folder), default=-1) == self.number
        except FileNotFoundError:
            self.lost = True
        except OSError:
            pass  # a file system that is away for a moment, no file handle left: not seen is not lost
        else:
            self.lost = self.lost or not is_last or (found is not None and found.token != self.holder.token)
        return not self.lost

    def release(self) -> None:
        """Releases the run; to be done when its outcome is written."""
        HEARTBEAT.remove(self)
        with self._lock:
            self._is_released = True
            if self.is_held():
                with suppress(OSError):  # a folder that cannot be written: the lease ends with the process
                    self.path.unlink()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquire(folder: Path) -> Lease | None:
    """Acquires the lease of the run in `folder`, which is made if need be; None if a live process holds it.

    Whoever has a lease must read the outcome again: the run may have ended in the meantime.

    Raises:
        OSError: the folder cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(MAX_TRIES):
        before = _highest(folder)
        if before is not None and _is_alive(before[1], before[2], lambda: _file_system_time(folder)):
            return None
        lease = Lease(folder, 0 if before is None else before[0] + 1, _this_process())
        with suppress(FileExistsError):  # another process was quicker: try again
            _create(lease)
            if max(_numbers(folder)) == lease.number:
                _mark_superseded(lease)
                return lease
            lease.path.unlink()  # a process that was taken for dead released its number meanwhile
    return None


def _create(lease: Lease) -> None:
    handle = os.open(lease.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write(handle, lease.holder)
    except OSError:
        lease.path.unlink()
        raise


def _mark_superseded(lease: Lease) -> None:
    """Marks the lease before a new one."""
    with suppress(OSError):  # there is none; or it is another user's, and the mark is only for those thought dead
        before = os.open(lease.folder / f"{PREFIX}{lease.number - 1}", os.O_WRONLY | os.O_TRUNC)
        _write(before, replace(lease.holder, token=SUPERSEDED))


def holder_of(folder: Path) -> Holder | None:
    """The live process that trains the run in `folder`; None if there is none, or its lease cannot be read."""
    found = _highest_if_readable(folder)
    return found[1] if found is not None and _is_alive(found[1], found[2]) else None


def is_leased(folder: Path) -> bool:
    """Whether a live process trains the run; also where its lease cannot be read yet."""
    found = _highest_if_readable(folder)
    return found is not None and _is_alive(found[1], found[2])


def _highest_if_readable(folder: Path) -> tuple[int, Holder | None, float] | None:
    """As `_highest`, for those who only read; None for a folder that they cannot list."""
    with suppress(OSError):
        return _highest(folder)
    return None


def _highest(folder: Path) -> tuple[int, Holder | None, float] | None:
    """Number, holder and time of the last heartbeat of the lease that counts."""
    for _ in range(MAX_TRIES):
        numbers = _numbers(folder)
        if not numbers:
            return None
        path = folder / f"{PREFIX}{max(numbers)}"
        with suppress(FileNotFoundError):  # released in this very moment: try again
            return max(numbers), _read(path), path.stat().st_mtime
    return None


def _numbers(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    ends = [name[len(PREFIX) :] for name in names if name.startswith(PREFIX)]
    return [int(end) for end in ends if end.isdecimal() and end == str(int(end))]  # neither lease.007 nor lease.٣


def _read(path: Path) -> Holder | None:
    try:
        holder = Holder(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, RecursionError):  # being written, damaged, not for us: its age decides
        return None
    return holder if isinstance(holder.process, int) and isinstance(holder.since, int | float) else None


def _write(handle: int, holder: Holder) -> None:
    # in one call, over the old text and of its length: who reads meanwhile meets no torn text, but torn digits
    try:
        os.write(handle, _as_line(holder).encode())
    finally:
        os.close(handle)


def _as_line(holder: Holder) -> str:
    fields = asdict(holder)
    fraction = fields.pop("fraction_done")
    fraction = fraction if 0 <= fraction <= 1 else float(fraction > 1)  # NaN is 0
    return f'{json.dumps(fields)[:-1]}, "fraction_done": {fraction:.4f}}}\n'


def _is_alive(holder: Holder | None, beaten: float, now: Callable[[], float] = time.time) -> bool:
    if holder is not None and holder.token == SUPERSEDED:
        return False
    if holder is None or holder.machine != machine():
        return now() - beaten < DEAD_AFTER
    try:
        since = start_time(holder.process)
    except PermissionError:  # another user's, and hidden: it exists
        return True
    return since is not None and abs(since - holder.since) < 1.0  # a clock tick or a second


def _file_system_time(folder: Path) -> float:
    """The present moment by the clock that gives files their times: that of a file server, for a folder of one."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock.") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # then no lease can be made there either
        return time.time()


def _this_process() -> Holder:
    since = start_time(os.getpid())
    assert since is not None
    return Holder(socket.gethostname(), os.getpid(), machine(), since, uuid.uuid4().hex)

"""Who is at a run: one small file in its folder, kept fresh by a heartbeat, that tells a live process from a dead one.

    claim.0, claim.1, ...       the highest number counts

To take over from a dead process is to create the next number, which a file system gives to one process alone (O_EXCL),
on one machine as on several that share it. A process removes its own claim at its end, and nobody else's ever: were the
claims of the dead removed, a process that has been slow since it looked could create a number that is used again. They
are marked instead, and a process that was dead in appearance only finds out. A process of this machine is dead if it
is not there; one of another machine, if its heart has not beaten for `DEAD_AFTER` seconds by this machine's clock.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bakeoff.runs.process import began, machine

HEARTBEAT = 5.0  # seconds
DEAD_AFTER = 60.0  # seconds; also how far the clocks of two machines may be apart
PREFIX = "claim."
TAKEN_OVER = ""  # in place of a token
TRIES = 20


@dataclass(frozen=True)
class Owner:
    """The process that is at a run. `share` is the part of the budget that it had spent at its last heartbeat."""

    host: str
    process: int
    machine: str  # tells this boot of this machine, and the container, from others of its name
    since: float  # when the process began (`bakeoff.runs.process`): their numbers are used again
    token: str
    share: float = 0.0


class Claim:
    """The right to train a run, held by this process until `release`; a context manager."""

    def __init__(self, folder: Path, number: int, owner: Owner) -> None:
        self.folder, self.number, self.owner = folder, number, owner
        self.path = folder / f"{PREFIX}{number}"
        self.lost = False  # another process took the run for abandoned, and is at it now
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def beat(self, share: Callable[[], float] | None = None) -> None:
        """Starts the heart, a thread of its own; `share` tells how much of the budget is spent."""
        self._heart = threading.Thread(target=self._beat, args=(share,), name="heartbeat", daemon=True)
        self._heart.start()

    def is_mine(self) -> bool:
        """Whether the claim still holds. It is lost to a process that could not see this one alive."""
        try:
            found, is_last = _read(self.path), max(_numbers(self.folder), default=-1) == self.number
        except FileNotFoundError:
            self.lost = True
        except OSError:
            pass  # a share that is away for a moment, no file handle left: not seen is not lost
        else:
            self.lost = self.lost or not is_last or (found is not None and found.token != self.owner.token)
        return not self.lost

    def release(self) -> None:
        """Gives the run back; to be done when its outcome is written."""
        self._ended.set()
        if self._heart is not None:
            self._heart.join()
        if self.is_mine():
            with suppress(OSError):  # a folder that cannot be written: the claim dies with the process
                self.path.unlink()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _beat(self, share: Callable[[], float] | None) -> None:
        owner = self.owner
        while not self._ended.wait(HEARTBEAT):
            with suppress(Exception):  # the heart of a run that cannot tell its share beats on
                owner = replace(owner, share=share() if share else 0.0)
            with suppress(OSError):  # a full disk does not end a run that may not need it
                if self.is_mine():
                    _write(os.open(self.path, os.O_WRONLY), owner)


def take(folder: Path) -> Claim | None:
    """Claims the run in `folder`, which is made if need be; None if a live process is at it.

    Whoever has a claim must look at the outcome again: the run may have ended in the meantime.

    Raises:
        OSError: the folder cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        before = _highest(folder)
        if before is not None and _is_alive(before[1], before[2]):
            return None
        claim = Claim(folder, 0 if before is None else before[0] + 1, _this_process())
        with suppress(FileExistsError):  # another process was quicker: look again
            _create(claim)
            if max(_numbers(folder)) == claim.number:
                _bury(claim)
                return claim
            claim.path.unlink()  # a process that was taken for dead gave its number back meanwhile
    return None


def _create(claim: Claim) -> None:
    handle = os.open(claim.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write(handle, claim.owner)
    except OSError:
        claim.path.unlink()
        raise


def _bury(claim: Claim) -> None:
    """Marks the claim before a new one."""
    with suppress(OSError):  # there is none; or it is another user's, and the mark is only for those thought dead
        before = os.open(claim.folder / f"{PREFIX}{claim.number - 1}", os.O_WRONLY | os.O_TRUNC)
        _write(before, replace(claim.owner, token=TAKEN_OVER))


def owner_of(folder: Path) -> Owner | None:
    """The live process that is at the run in `folder`; None if there is none, or its claim cannot be read."""
    found = _seen(folder)
    return found[1] if found is not None and _is_alive(found[1], found[2]) else None


def is_claimed(folder: Path) -> bool:
    """Whether a live process is at the run; also where its claim cannot be read yet."""
    found = _seen(folder)
    return found is not None and _is_alive(found[1], found[2])


def _seen(folder: Path) -> tuple[int, Owner | None, float] | None:
    """As `_highest`, for those who only look; None for a folder that they cannot look into."""
    with suppress(OSError):
        return _highest(folder)
    return None


def _highest(folder: Path) -> tuple[int, Owner | None, float] | None:
    """Number, owner and time of the last heartbeat of the claim that counts."""
    for _ in range(TRIES):
        numbers = _numbers(folder)
        if not numbers:
            return None
        path = folder / f"{PREFIX}{max(numbers)}"
        with suppress(FileNotFoundError):  # released in this very moment: look again
            return max(numbers), _read(path), path.stat().st_mtime
    return None


def _numbers(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    ends = [name[len(PREFIX) :] for name in names if name.startswith(PREFIX)]
    return [int(end) for end in ends if end.isdecimal() and end == str(int(end))]  # neither claim.007 nor claim.٣


def _read(path: Path) -> Owner | None:
    try:
        owner = Owner(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, RecursionError):  # being written, damaged, not for us: its age decides
        return None
    return owner if isinstance(owner.process, int) and isinstance(owner.since, int | float) else None


def _write(handle: int, owner: Owner) -> None:
    # in one call, over what was there; of one length, so that who reads meanwhile meets no torn text, but torn digits
    try:
        os.write(handle, _text(owner).encode())
    finally:
        os.close(handle)


def _text(owner: Owner) -> str:
    fields = asdict(owner)
    share = fields.pop("share")
    share = share if 0 <= share <= 1 else float(share > 1)  # NaN is 0
    return f'{json.dumps(fields)[:-1]}, "share": {share:.4f}}}\n'


def _is_alive(owner: Owner | None, beaten: float) -> bool:
    if owner is not None and owner.token == TAKEN_OVER:
        return False
    if owner is None or owner.machine != machine():
        return time.time() - beaten < DEAD_AFTER
    try:
        since = began(owner.process)
    except PermissionError:  # another user's, and hidden: it is there
        return True
    return since is not None and abs(since - owner.since) < 1.0  # a tick or a second


def _this_process() -> Owner:
    since = began(os.getpid())
    assert since is not None
    return Owner(socket.gethostname(), os.getpid(), machine(), since, uuid.uuid4().hex)

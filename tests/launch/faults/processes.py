"""The command as a process group of its own, and things that are done to it meanwhile."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Said(NamedTuple):
    status: int
    text: str


class Command:
    """`bakeoff ...` as a user starts it, in a session of its own, by which its processes are known.

    `before` are words that come before it, such as `setpriv` and its own.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...], before: Sequence[str] = ()) -> None:
        self._said = folder / f"said.{time.monotonic_ns()}"
        with self._said.open("wb") as file:  # no pipe: whoever outlives the command would keep it open
            words = [*before, sys.executable, "-m", "bakeoff", *arguments]
            self.process = subprocess.Popen(
                words, cwd=folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def runs(self) -> bool:
        return self.process.poll() is None

    def family(self) -> list[psutil.Process]:
        """The live processes of the command, orphans too."""
        self.process.poll()
        found = []
        for number in psutil.pids():
            with suppress(OSError, psutil.Error):
                if os.getsid(number) == self.process.pid:
                    process = psutil.Process(number)
                    found += [process] if process.status() != psutil.STATUS_ZOMBIE else []
        return found

    def workers(self) -> list[psutil.Process]:
        """Those that the fork server has made."""
        family = self.family()
        parents = {}
        for process in family:
            with suppress(psutil.Error):
                if "forkserver" in " ".join(process.cmdline()):
                    parents[process.pid] = process.ppid()
        return [process for process in family if parents.get(process.pid) in parents]

    def signal(self, number: int) -> None:
        """To all of them, as a terminal does it, or a scheduler."""
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(self.process.pid, number)

    def wait(self, seconds: float = 120) -> Said:
        status = self.process.wait(seconds)
        return Said(status, self._said.read_text())

    def left_over(self, seconds: float = 15) -> list[psutil.Process]:
        """Who is still there, so many seconds later."""
        wait_for(lambda: not self.family(), seconds, strictly=False)
        return self.family()


def wait_for(condition, seconds: float = 60, *, strictly: bool = True):
    """What `condition()` says, as soon as it says something."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    assert found or not strictly, "it did not come to that"
    return found


@contextmanager
def meanwhile(condition, action):
    """Does `action(condition())` in a thread, as soon as the condition holds; fails if it never did."""
    done, over = [], threading.Event()

    def look() -> None:
        while not over.is_set():
            if found := condition():
                done.append(action(found))
                return
            time.sleep(0.02)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert done, "the moment for it did not come"

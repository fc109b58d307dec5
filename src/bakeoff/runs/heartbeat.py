"""One thread a process that keeps all its leases fresh."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Protocol


class Renewable(Protocol):
    """What the heartbeat keeps fresh: a lease."""

    def renew(self) -> None:
        """Shows others that this process is alive."""


class Heartbeat:
    """Renews every lease that was added, every `interval` seconds, in one thread that runs while there is any.

    Threads do not survive a fork: the child begins with an empty heartbeat.
    """

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._leases: list[Renewable] = []
        self._thread: threading.Thread | None = None

    def add(self, lease: Renewable, interval: float) -> None:
        """Starts to keep it fresh."""
        with self._lock:
            self._leases.append(lease)
            if self._thread is None:
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._ended, interval), name="heartbeat", daemon=True
                )
                self._thread.start()

    def remove(self, lease: Renewable) -> None:
        """Stops. A renewal that is under way may end after this has returned."""
        with self._lock:
            if lease in self._leases:
                self._leases.remove(lease)
            thread = self._thread if not self._leases else None
            if thread is not None:
                self._ended.set()
                self._thread = None
        if thread is not None:
            thread.join()

    def _run(self, ended: threading.Event, interval: float) -> None:
        while not ended.wait(interval):
            with self._lock:
                leases = list(self._leases)
            for lease in leases:  # outside of the lock: a network folder that hangs must not stop other runs
                with suppress(Exception):  # one that fails does not stop the others
                    lease.renew()


HEARTBEAT = Heartbeat()

"""How a run is asked to stop, by Ctrl-C, by a scheduler or by its launcher. It stops at its next step boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED_STATUS = 130  # a shell's own exit status for a command that was stopped
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked this process to stop. A second signal stops it immediately."""

    def __init__(self) -> None:
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether a run is to stop at its next step boundary."""
        return self._requested

    def request(self) -> None:
        """Asks for a stop at the next step boundary: a checkpoint, then the end."""
        self._requested = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Inside, the first SIGINT or SIGTERM requests a stop, and the second raises KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():  # a user's own threads, or Ray's: no signals
            yield
            return
        before: dict[signal.Signals, Any] = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.request()

"""How a run is asked to stop, and does at its next moment of rest: by Ctrl-C, by a scheduler, by its launcher."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPED_STATUS = 130  # a shell's own for a command that was stopped
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Whether somebody asked this process to stop. A second request in a signal is obeyed at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        """Asks for a stop at the next moment of rest: a checkpoint, then the end."""
        self.asked = True

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Inside, SIGINT and SIGTERM ask once, and interrupt the second time."""
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
        if self.asked:
            raise KeyboardInterrupt
        self.ask()

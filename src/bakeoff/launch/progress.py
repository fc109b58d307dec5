"""One live line for a sweep: how far it is, what runs, what went wrong, how long it will take."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from tqdm import tqdm

from bakeoff.runs.lease import holder_of
from bakeoff.workers import BuiltRun

REFRESH_INTERVAL = 2.0  # seconds between two looks at how far the running runs are
LINE_INTERVAL = 30.0  # seconds between two lines where there is no terminal, at least
LINE_FRACTION = 0.05  # of the time since the start, too: a day's log stays short


def preparing_bar(total: int) -> tqdm:
    """A bar of runs that are being composed and built, which goes when that is done; silent without a terminal."""
    return tqdm(
        total=total,
        desc="bakeoff: preparing",
        unit="run",
        leave=False,
        delay=1.0,
        dynamic_ncols=True,
        bar_format="{desc} |{bar}| {n_fmt}/{total_fmt} runs",
        disable=not _has_terminal(),
    )


class SweepProgress:
    """A bar of `total` runs, of which `finished` were before this command; a line now and then without a terminal.

    tqdm draws the bar. The lines are our own: tqdm writes its bar into a file, too, many times.
    """

    def __init__(self, total: int, finished: Counter[str]) -> None:
        self._total, self._before, self.counts = total, finished.total(), Counter(finished)
        self._started, self._refreshed, self._fractions = time.monotonic(), 0.0, 0.0
        self._printed = self._started
        self._initial: float | None = None
        self._is_terminal = _has_terminal()
        self._bar = tqdm(
            total=total,
            initial=self._before,
            desc="bakeoff",
            unit="run",
            dynamic_ncols=True,
            mininterval=0.2,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs{postfix}",
            disable=not self._is_terminal,
        )

    def run_ended(self, status: str) -> None:
        """A run has ended."""
        self.counts[status] += 1
        self._bar.update()

    def refresh(self, running: Iterable[BuiltRun]) -> None:
        """Shows what is running, and the time left."""
        now = time.monotonic()
        if now - self._refreshed < REFRESH_INTERVAL:
            return
        running = list(running)
        holders = [holder_of(Path(run.folder)) for run in running]
        self._fractions = sum(holder.fraction_done for holder in holders if holder is not None)
        if self._initial is None:
            self._initial = self._fractions  # of runs that are resumed: not the work of this command
        self._refreshed = now
        bad = [f"{self.counts[s]} {s}" for s in ("failed", "diverged") if self.counts[s]]
        left = self._time_left()
        words = [f"{len(running)} running", *bad, *([f"{left} left"] if left else [])]
        if self._is_terminal:
            self._bar.set_postfix_str(", ".join(words))
        elif now - self._printed >= max(LINE_INTERVAL, LINE_FRACTION * (now - self._started)):
            self._print_line(words)

    def close(self) -> None:
        """Leaves the last state on the terminal."""
        words = [f"{count} {status}" for status, count in self.counts.items() if status != "completed" and count]
        self._bar.set_postfix_str(", ".join(words))
        self._bar.close()
        if not self._is_terminal:
            self._print_line(words)

    def _print_line(self, words: Iterable[str]) -> None:
        self._printed = time.monotonic()
        sys.stderr.write(", ".join([f"bakeoff: {self.counts.total()}/{self._total} runs", *words]) + "\n")
        sys.stderr.flush()

    def _time_left(self) -> str | None:
        trained = self.counts.total() - self._before + self._fractions - (self._initial or 0.0)
        if trained < 0.02:
            return None
        missing = self._total - self.counts.total() - self._fractions
        seconds = (time.monotonic() - self._started) / trained * missing
        return str(timedelta(seconds=max(0, round(seconds))))


def _has_terminal() -> bool:
    """Whether there is a terminal, and it has a width: that of a container without one shows no bar."""
    return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0

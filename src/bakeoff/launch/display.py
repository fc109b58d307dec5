"""One live line for a sweep: how far it is, what runs, what went wrong, how long it will take."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from tqdm import tqdm

from bakeoff.launch.messages import Prepared
from bakeoff.runs import claim

LOOK = 2.0  # seconds between two looks at how far the running runs are
QUIET = 30.0  # seconds between two lines where nobody looks at a terminal


class Display:
    """A bar of `total` runs, of which `done` had ended before this command."""

    def __init__(self, total: int, done: Counter[str]) -> None:
        self._total, self._before, self.counts = total, done.total(), Counter(done)
        self._started, self._looked, self._shares = time.monotonic(), 0.0, 0.0
        self._initial: float | None = None
        is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=self._before,
            desc="bakeoff",
            unit="run",
            dynamic_ncols=True,
            mininterval=0.2 if is_terminal else QUIET,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs{postfix}",
        )

    def ended(self, status: str) -> None:
        """A run has ended."""
        self.counts[status] += 1
        self._bar.update()

    def look(self, running: Iterable[Prepared]) -> None:
        """Shows what is running, and the time left."""
        if time.monotonic() - self._looked < LOOK:
            return
        running = list(running)
        owners = [claim.owner_of(Path(run.folder)) for run in running]
        self._shares = sum(owner.share for owner in owners if owner is not None)
        if self._initial is None:
            self._initial = self._shares  # of runs that go on: not the work of this command
        self._looked = time.monotonic()
        words = [
            f"{len(running)} running",
            *(f"{self.counts[s]} {s}" for s in ("failed", "diverged") if self.counts[s]),
        ]
        left = self._left()
        self._bar.set_postfix_str(", ".join([*words, *([f"{left} left"] if left else [])]))

    def close(self) -> None:
        """Leaves the last state of the bar on the terminal."""
        words = [f"{count} {status}" for status, count in self.counts.items() if status != "completed" and count]
        self._bar.set_postfix_str(", ".join(words))
        self._bar.close()

    def _left(self) -> str | None:
        trained = self.counts.total() - self._before + self._shares - (self._initial or 0.0)
        if trained < 0.02:
            return None
        missing = self._total - self.counts.total() - self._shares
        seconds = (time.monotonic() - self._started) / trained * missing
        return str(timedelta(seconds=max(0, round(seconds))))

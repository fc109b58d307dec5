"""What became of a multirun: it decides the exit status."""

from __future__ import annotations

from dataclasses import dataclass, field

from bakeoff.runs import INTERRUPTED_STATUS

STOPPED_BY_SIGNAL = "stopped"
FAILED_STATUS = 1


@dataclass
class SweepResult:
    """`failed` holds the folders of failed runs that were asked for; `stopped` says why the sweep ended early."""

    failed: set[str] = field(default_factory=set)
    stopped: str | None = None

    @property
    def exit_status(self) -> int:
        """130 after Ctrl-C or SIGTERM, 1 after a failed run or where something stopped the sweep, else 0."""
        if self.stopped == STOPPED_BY_SIGNAL:
            return INTERRUPTED_STATUS
        return FAILED_STATUS if self.failed or self.stopped is not None else 0

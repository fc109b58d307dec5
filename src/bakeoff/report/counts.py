"""How many runs there are, by how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.report.records import Record, UnreadableRun
from bakeoff.runs.outcome import STATUSES

ALWAYS_COUNTED = STATUSES[:3]  # also where there is none


def by_status(records: Sequence[Record], unreadable: Sequence[UnreadableRun]) -> str:
    """`12: 9 completed, 2 diverged, 0 failed, 1 running`."""
    counts = Counter(record.status for record in records)
    parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status] or status in ALWAYS_COUNTED]
    if unreadable:
        parts.append(f"{len(unreadable)} unreadable")
    return f"{len(records) + len(unreadable)}: {', '.join(parts)}"

"""How many runs there are, by how they ended."""

from collections import Counter
from collections.abc import Sequence

from bakeoff.report.records import Problem, Record
from bakeoff.runs.outcome import STATUSES


def by_status(records: Sequence[Record], problems: Sequence[Problem]) -> str:
    """`12: 9 completed, 2 diverged, 0 failed, 1 running`: what is usual is counted also where there is none."""
    counts = Counter(record.status for record in records)
    parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status] or status in STATUSES[:3]]
    if problems:
        parts.append(f"{len(problems)} lost (outcome not readable)")
    return f"{len(records) + len(problems)}: {', '.join(parts)}"

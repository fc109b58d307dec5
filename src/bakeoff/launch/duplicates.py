"""Says which of the runs that a command asks for are the same run: it is trained once, and the table shows it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bakeoff.workers import Job

MAX_SHOWN = 5


def describe_duplicates(jobs: Sequence[Job], duplicate_of: Mapping[int, int]) -> str | None:
    """`4 runs asked for, 2 differ: batch_size=2000 is the same run as batch_size=full`; None where all differ.

    Args:
        jobs: what is asked for.
        duplicate_of: number of a job -> that of the first one that is the same run.

    """
    if not duplicate_of:
        return None
    by_number = {job.number: job for job in jobs}
    pairs = [(by_number[number], by_number[first]) for number, first in duplicate_of.items()]
    same = dict.fromkeys(f"{_words(one, other)} is the same run as {_words(other, one)}" for one, other in pairs)
    shown = "; ".join(list(same)[:MAX_SHOWN])
    more = f"; and {len(same) - MAX_SHOWN} more" if len(same) > MAX_SHOWN else ""
    return f"{len(jobs)} runs asked for, {len(jobs) - len(duplicate_of)} differ: {shown}{more}"


def _words(job: Job, other: Job) -> str:
    """The overrides that the other one has not; all, where they are the same."""
    return " ".join(word for word in job.overrides if word not in other.overrides) or " ".join(job.overrides)

"""What a multirun would do, in words: what is done, what would be trained, and how long that may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from statistics import mean

from bakeoff.launch.messages import Prepared
from bakeoff.launch.plan import Plan
from bakeoff.report.records import Record, read_sweep
from bakeoff.report.table import visible
from bakeoff.runs import Outcome


def describe(planned: Plan, sweep: Path, workers: int) -> str:
    """One line a job, in the order of the command; then the counts and the estimated time.

    The time is estimated from completed runs of the same sweep: those of the same arm, or of all arms.
    """
    states = {job.number: _state(planned, job.number) for job in planned.jobs}
    lines = [f"{states[job.number]:<12}  {visible(' '.join(job.overrides)) or '(defaults)'}" for job in planned.jobs]
    for number, refused in planned.refused.items():
        lines.append(f"job {number} cannot be built: {refused.message}")
    kinds = Counter("done" if state in ("completed", "diverged", "failed") else state for state in states.values())
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    missing = planned.to_train()
    return "\n".join([*lines, "", f"{len(planned.jobs)} jobs: {counts}", _time(missing, sweep, workers)])


def _state(planned: Plan, number: int) -> str:
    if number in planned.refused:
        return "refused"
    if number in planned.same:
        return "duplicate"
    done = planned.done().get(number)
    if done is not None:
        return done
    prepared = planned.prepared[number]
    before = Outcome.read(Path(prepared.folder))
    goes_on = before is not None and before.identity == prepared.identity
    return "to go on" if goes_on else "to train"


def _time(missing: Iterable[Prepared], sweep: Path, workers: int) -> str:
    missing = list(missing)
    if not missing:
        return "nothing to train"
    records = read_sweep(sweep).records if sweep.is_dir() else ()
    completed = [record for record in records if record.status == "completed"]
    if not completed:
        return "estimated time: unknown until a run of this sweep has completed"
    seconds = sum(_seconds(run, completed) for run in missing) / min(workers, len(missing))
    by = f"{len(completed)} completed run{'s' if len(completed) > 1 else ''} of this sweep"
    return f"estimated time: {timedelta(seconds=round(seconds))} with {workers} workers, by {by}"


def _seconds(run: Prepared, completed: Iterable[Record]) -> float:
    folder = str(Path(run.folder).parent)
    completed = list(completed)
    own = [record.seconds for record in completed if str(record.path.absolute().parent) == folder]
    return mean(own or [record.seconds for record in completed])

"""Records a run as failed whose worker left no record of it: it died at its start, or could not get that far."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from bakeoff.runs import Outcome, arm_of, utc_now
from bakeoff.runs.lease import acquire
from bakeoff.workers import BuiltRun, RunResult


def record_unrecorded(run: BuiltRun, result: RunResult) -> None:
    """Writes the record of a failed run that has none, so that every report counts it; one that is there is kept."""
    folder = Path(run.folder)
    with suppress(OSError):  # it may be for that very reason that there is none
        lease = acquire(folder) if Outcome.read(folder) is None else None
        if lease is not None:
            with lease:
                _outcome(run, result).write(folder)


def _outcome(run: BuiltRun, result: RunResult) -> Outcome:
    overrides, seed = list(run.job.overrides), int(Path(run.folder).name.removeprefix("seed="))
    error = {"type": "WorkerError", "message": result.reason, "step": None, "traceback": None}
    outcome = Outcome(arm_of(overrides), seed, run.identity, overrides, status="failed", error=error)
    outcome.metric, outcome.metric_direction, outcome.ended = run.metric, run.direction, utc_now()
    return outcome

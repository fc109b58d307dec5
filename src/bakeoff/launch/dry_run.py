"""What a multirun would do, in words: what is finished, what would be trained, and how long that may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean

from bakeoff.launch.plan import Plan, reasons
from bakeoff.report.records import Record, read_sweep
from bakeoff.report.table import Column, shorten, text_table, visible
from bakeoff.runs import ReuseRule, resumable_outcome
from bakeoff.runs.execution import COMPARISON_KEYS, EXECUTION_KEYS
from bakeoff.runs.lease import is_leased
from bakeoff.workers import BuiltRun

MAX_WIDTH = 40  # of a value in the table
FINISHED = ("completed", "diverged", "failed")
Row = tuple[tuple[str, ...], list[str]]  # the state and the choices of an arm; its seeds
ORDER = ("to train", "to resume", "running", *FINISHED, "duplicate", "invalid")


def describe(planned: Plan, sweep: Path, workers: int, reuse_rule: ReuseRule) -> str:
    """A table in the order of the command, one line for the seeds of an arm; then counts and estimated time.

    The time is estimated from completed runs of the same sweep: those of the same arm, or of all arms.
    """
    states = {job.number: _state(planned, job.number, reuse_rule) for job in planned.jobs}
    lines = [*_table(planned, states), ""]
    if planned.invalid:
        lines += [f"{len(planned.invalid)} of {len(planned.jobs)} runs cannot be built; none would be started:"]
        lines += [*reasons(planned), ""]
    first_steps = dict.fromkeys(run.first_step for run in planned.to_train() if run.first_step is not None)
    if first_steps:
        lines += ["the first step:", *(f"  {line}" for line in first_steps), ""]
    counts = Counter(states.values())
    duplicates = {"duplicate": "duplicates" if counts["duplicate"] > 1 else "duplicate"}
    words = ", ".join(f"{counts[state]} {duplicates.get(state, state)}" for state in ORDER if counts[state])
    jobs = f"{len(planned.jobs)} run{'s' if len(planned.jobs) > 1 else ''} asked for: {words}"
    again = ["retry=failed trains the failed ones again"] if counts["failed"] else []
    return "\n".join([*lines, jobs, *again, _time(planned.to_train(), sweep, workers, reuse_rule)])


def _state(planned: Plan, number: int, reuse_rule: ReuseRule) -> str:
    if number in planned.invalid:
        return "invalid"
    if number in planned.duplicate_of:
        return "duplicate"
    finished = planned.finished().get(number)
    if finished is not None:
        return finished
    run = planned.built[number]
    folder = Path(run.folder)
    if is_leased(folder):
        return "running"
    return "to train" if resumable_outcome(folder, run.identity, reuse_rule) is None else "to resume"


def _table(planned: Plan, states: Mapping[int, str]) -> list[str]:
    chosen = {job.number: _choices(job.overrides) for job in planned.jobs}
    first = next(iter(chosen.values()))
    several = len(planned.jobs) > 1
    common = {k: v for k, v in first.items() if several and all(other.get(k) == v for other in chosen.values())}
    keys = list(dict.fromkeys(key for choices in chosen.values() for key in choices if key not in (*common, "seed")))
    seeds: dict[tuple[str, ...], list[str]] = {}
    for number, choices in chosen.items():
        row = (states[number], *(choices.get(key, "") for key in keys))
        seeds.setdefault(row, []).append(choices.get("seed", ""))
    columns: list[Column[Row]] = [
        Column("state", lambda row: row[0][0]),
        *(_choice_column(i, key) for i, key in enumerate(keys, start=1)),
    ]
    if any("seed" in choices and "seed" not in common for choices in chosen.values()):
        columns.append(Column("seed", lambda row: visible(" ".join(ranges(row[1])))))
    shared = " ".join(f"{key}={value}" for key, value in common.items())
    return ([f"common to all: {visible(shared)}", ""] if shared else []) + [text_table(columns, seeds.items())]


def _choice_column(index: int, key: str) -> Column[Row]:
    return Column(shorten(visible(key), MAX_WIDTH), lambda row: shorten(visible(row[0][index]), MAX_WIDTH))


def _choices(overrides: Iterable[str]) -> dict[str, str]:
    """Key -> value, as typed, without execution and comparison keys."""
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    return {key: value for key, _, value in pairs if key.split(".")[0] not in EXECUTION_KEYS | COMPARISON_KEYS}


def ranges(numbers: Sequence[str]) -> list[str]:
    """Whole numbers that follow each other as one: 0 1 2 3 7 are 0-3 7."""
    found: list[list[str]] = []
    for number in numbers:
        follows = found and number.isdecimal() and found[-1][-1].isdecimal() and int(number) == int(found[-1][-1]) + 1
        if follows:
            found[-1].append(number)
        else:
            found.append([number])
    return [f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run) for run in found]


def _time(missing: Sequence[BuiltRun], sweep: Path, workers: int, reuse_rule: ReuseRule) -> str:
    if not missing:
        return "nothing to train"
    records = read_sweep(sweep).records if sweep.is_dir() else ()
    completed = [record for record in records if record.status == "completed"]
    if not completed:
        return "estimated time: unknown until a run of this sweep has completed"
    seconds = [_seconds(run, completed, reuse_rule) for run in missing]
    workers = min(workers, len(missing))
    estimated = timedelta(seconds=max(1, round(max(sum(seconds) / workers, *seconds))))
    by = f"{len(completed)} completed run{'s' if len(completed) > 1 else ''} of this sweep"
    return f"estimated time: {estimated} with {workers} worker{'s' if workers > 1 else ''}, from {by}"


def _seconds(run: BuiltRun, completed: Sequence[Record], reuse_rule: ReuseRule) -> float:
    folder = str(Path(run.folder).parent)
    own = [record.seconds for record in completed if str(record.path.absolute().parent) == folder]
    whole = mean(own or [record.seconds for record in completed])
    before = resumable_outcome(Path(run.folder), run.identity, reuse_rule)
    return max(0.0, whole - before.seconds) if before is not None else whole

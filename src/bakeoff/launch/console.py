"""What a command prints about single runs, and about a sweep beside its progress. Nothing here ends the process."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bakeoff.launch.duplicates import describe_duplicates
from bakeoff.report.table import number_format
from bakeoff.runs import Outcome, ReuseRule, finished_outcome, resumable_outcome
from bakeoff.runs.lease import holder_of, is_leased
from bakeoff.runs.metrics import on_test_data
from bakeoff.workers import BuiltRun, Job, RunResult

STOPPING = b"\nbakeoff: stopping after the next checkpoint; press Ctrl-C again to stop immediately\n"


def print_outcome(outcome: Outcome, metric: str, folder: Path, *, before: bool = False) -> None:
    """How a single run ended, and where it is; `before` says that an earlier command trained it."""
    path = as_typed(folder)
    spent = f"{outcome.steps} steps, {outcome.samples} samples, {outcome.seconds:.1f} s"
    again = "; already finished, not trained again" if before else ""
    print(f"{outcome.status}: {spent}{again}")
    if outcome.error:
        print(outcome.error["traceback"] or outcome.error["message"], file=sys.stderr)
    for name in (metric, on_test_data(metric)):
        entry = outcome.metrics.get(name, {})
        final, best = entry.get("final"), entry.get("best")
        if final is not None:
            at = "" if best is None else f"  (best {_as_text(best)} at step {entry['best_step']})"
            print(f"{name} {_as_text(final)}{at}")
    print(f"written to {path}\ncurves: tensorboard --logdir {shlex.quote(str(path.parent.parent))}")
    if outcome.status == "failed" and before:
        print("it failed before; retry=failed trains it again", file=sys.stderr)


def _as_text(value: float) -> str:
    return format(value, number_format(value))


def print_notes(notes: Iterable[str]) -> None:
    """What a user is to know of how runs were built."""
    for note in notes:
        print(note, flush=True)


def print_assumed(assumed: Iterable[str]) -> None:
    """What is assumed unchanged where earlier records are taken for the runs that were asked for."""
    for text in assumed:
        print(
            f"assumed unchanged: {text}; reuse=never trains again, or make it known: name the file in a setting, or "
            "give your data class a fingerprint or files",
            flush=True,
        )


def print_not_kept(texts: Sequence[str]) -> None:
    """What finished runs were not trained with, though the command asks for it."""
    if texts:
        print(f"finished runs were trained without {', '.join(texts)}; reuse=never trains them again", flush=True)


def print_waiting(folder: Path) -> None:
    """Another process trains this run, and is waited for."""
    holder = holder_of(folder)
    by = f"process {holder.process} on {holder.host}" if holder else "another process"
    sys.stderr.write(f"bakeoff: {by} is training {as_typed(folder)}; waiting for it\n")


def print_interrupted(folder: Path) -> None:
    """A single run was stopped from outside."""
    path = as_typed(folder)
    sys.stderr.write(f"\nbakeoff: stopped; recorded as interrupted in {path}; run the same command again to resume\n")


def print_dry_run(identity: str, reuse_rule: ReuseRule, folder: Path) -> None:
    """What the command would do with the run in `folder`."""
    path, found = as_typed(folder), Outcome.read(folder)
    finished = finished_outcome(folder, identity, reuse_rule)
    if found is None or found.identity != identity:
        print(f"would train {path}")
    elif is_leased(folder):
        print(f"would wait for another process, which is training {path}")
    elif finished is not None:
        again = "; retry=failed trains it again" if finished.status == "failed" else ""
        print(f"already {finished.status}: {path}; nothing to do{again}")
    else:
        print(f"would {'resume' if resumable_outcome(folder, identity, reuse_rule) else 'train'} {path}")


def print_finished(statuses: Iterable[str]) -> None:
    """How many runs of a sweep were finished before this command."""
    counts = Counter(statuses)
    if counts:
        words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        again = "; retry=failed trains the failed ones again" if counts["failed"] else ""
        print(f"already finished: {words}{again}", flush=True)


def print_duplicates(jobs: Sequence[Job], duplicate_of: Mapping[int, int]) -> None:
    """Which runs are asked for more than once."""
    said = describe_duplicates(jobs, duplicate_of)
    if said is not None:
        print(said, flush=True)


def print_stopped(why: str, ended: Mapping[str, int], not_started: int, finished: int) -> None:
    """A sweep ended before all its runs had; `ended` counts the statuses of those that did."""
    words = [f"{count} {status}" for status, count in ended.items()]
    words += [f"{finished} already finished"] if finished else []
    words += [f"{not_started} not started"] if not_started else []
    sys.stdout.flush()
    sys.stderr.write(f"bakeoff: {why}: {', '.join(words)}; run the same command again to resume\n")


def print_unrecorded(run: BuiltRun, result: RunResult) -> None:
    """A run of a sweep failed, and its folder does not say so: another run's record is there, or none."""
    outcome = Outcome.read(Path(run.folder))
    if outcome is None or outcome.identity not in ("", run.identity):
        words = " ".join(run.job.overrides)
        sys.stderr.write(f"bakeoff: a run failed without a record: {result.reason}\n    in {words}\n")


def as_typed(folder: Path) -> Path:
    """The folder as a user types it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder

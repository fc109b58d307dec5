"""Read the run folders of a sweep: each `outcome.json`, and whether a process is still at what it calls running.

Nothing is dropped silently: a run folder yields a `Record`, or a `Problem` that says why it does not.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.report.record import Record, read_record
from bakeoff.runs.claim import is_claimed, owner_of

__all__ = [
    "Problem",
    "Record",
    "Sweep",
    "policy_of",
    "read_run",
    "read_sweep",
    "run_folders",
    "sweep_at",
    "sweep_of",
]

GONE = {
    "type": "Gone",
    "message": "its process is gone: killed, or its machine was; the same command resumes it",
    "step": None,
    "traceback": None,
}


@dataclass(frozen=True)
class Problem:
    """A run folder that could not be read."""

    path: Path
    reason: str

    @property
    def folder(self) -> str:
        """Name of the arm's folder."""
        return self.path.parent.name


@dataclass(frozen=True)
class Sweep:
    """What a sweep folder holds, ordered by arm folder, then seed; `policy` is the text of its policy.txt."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    policy: str | None = None


def read_sweep(folder: Path) -> Sweep:
    """Read every `<arm>/seed=<n>/` under `folder`; raise UserError when that is not a folder."""
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    return sweep_of([read_run(run) for run in run_folders(folder)], policy_of(folder))


def sweep_at(folder: Path) -> Sweep:
    """As `read_sweep`; raise UserError when there are no runs, which names the sweeps that lie below."""
    sweep = read_sweep(folder)
    if sweep.records or sweep.problems:
        return sweep
    # the most likely slip: the folder above the sweeps, outputs/ in place of outputs/main
    sweeps = [str(child) for child in sorted(folder.iterdir()) if child.is_dir() and run_folders(child)]
    hint = f"; did you mean {' or '.join(sweeps)}?" if sweeps else ""
    raise UserError(f"no runs in {folder}: a sweep folder holds <arm>/seed=<n>/outcome.json{hint}")


def sweep_of(read: Iterable[Record | Problem], policy: str | None) -> Sweep:
    """Puts in order what was read."""
    read = list(read)
    records = sorted((r for r in read if isinstance(r, Record)), key=lambda r: (r.folder, r.seed))
    return Sweep(tuple(records), tuple(r for r in read if isinstance(r, Problem)), policy)


def policy_of(folder: Path) -> str | None:
    """How the sweep was set up, in the user's words, where they said it."""
    policy = folder / "policy.txt"
    return (policy.read_text("utf-8", errors="replace").strip() or None) if policy.is_file() else None


def read_run(run: Path) -> Record | Problem:
    """The record in a run folder, or why there is none; what was recorded as running may not be so any more."""
    try:
        record = read_record(run)
        return record if record.status != "running" else _as_it_stands(record)
    # RecursionError: a file of nothing but brackets
    except (OSError, ValueError, RecursionError) as error:
        return Problem(run, _reason(error))


def _as_it_stands(record: Record) -> Record:
    owner = owner_of(record.path)
    if owner is not None:
        return replace(record, host=owner.host, process=owner.process, share=owner.share)
    if is_claimed(record.path):
        return record
    # once more, for a run that has ended meanwhile: its outcome is written before its claim is given back
    record = read_record(record.path)
    return record if record.status != "running" else replace(record, status="interrupted", error=GONE)


def run_folders(folder: Path) -> list[Path]:
    """The folders `<arm>/seed=<n>/` under `folder`, with or without an outcome."""
    return sorted(path for path in folder.glob("*/seed=*") if path.is_dir())


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no outcome.json"
        case json.JSONDecodeError():
            return f"outcome.json is not valid JSON, or cut short: {error}"
        case UnicodeDecodeError():
            return f"outcome.json is not UTF-8: {error.reason} at byte {error.start}"
        case RecursionError():
            return "outcome.json is nested too deeply"
        case OSError():
            return f"outcome.json cannot be read: {error.strerror}"
    return str(error)

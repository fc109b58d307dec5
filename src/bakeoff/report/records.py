"""Reads the run folders of a sweep: each `outcome.json`, and whether a process still trains what it calls running.

Nothing is dropped silently: a run folder yields a `Record`, or an `UnreadableRun` that says why it does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.report.record import Record as Record
from bakeoff.report.record import read_record
from bakeoff.runs.lease import holder_of, is_leased

PROCESS_DIED = {
    "type": "ProcessDied",
    "message": "its process has died; run the same command again to resume",
    "step": None,
    "traceback": None,
}
TUNING_NOTES = ("tuning_note.txt", "policy.txt")  # the second as versions before named it


@dataclass(frozen=True)
class UnreadableRun:
    """A run folder whose outcome could not be read."""

    path: Path
    reason: str

    @property
    def folder(self) -> str:
        """Name of the arm's folder."""
        return self.path.parent.name


@dataclass(frozen=True)
class Sweep:
    """What a sweep folder holds, ordered by arm folder, then seed.

    `tuning_note` says how the settings that are not compared were chosen, in the user's words.
    """

    records: tuple[Record, ...]
    unreadable: tuple[UnreadableRun, ...]
    tuning_note: str | None = None


def read_sweep(folder: Path) -> Sweep:
    """Reads every `<arm>/seed=<n>/` under `folder`.

    Raises:
        UserError: it is not a folder.

    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    return as_sweep([read_run(run) for run in run_folders(folder)], read_tuning_note(folder))


def read_sweep_with_runs(folder: Path) -> Sweep:
    """As `read_sweep`, for a folder that must hold runs.

    Raises:
        UserError: it holds none; names the sweeps that lie below.

    """
    sweep = read_sweep(folder)
    if sweep.records or sweep.unreadable:
        return sweep
    # the most likely slip: the folder above the sweeps, outputs/ in place of outputs/main
    sweeps = [str(child) for child in sorted(folder.iterdir()) if child.is_dir() and run_folders(child)]
    hint = f"; did you mean {' or '.join(sweeps)}?" if sweeps else ""
    raise UserError(f"no runs in {folder}: a sweep folder holds <arm>/seed=<n>/outcome.json{hint}")


def as_sweep(runs: Iterable[Record | UnreadableRun], tuning_note: str | None) -> Sweep:
    """Sorts runs that were read."""
    runs = list(runs)
    records = sorted((r for r in runs if isinstance(r, Record)), key=lambda r: (r.folder, r.seed))
    return Sweep(tuple(records), tuple(r for r in runs if isinstance(r, UnreadableRun)), tuning_note)


def read_tuning_note(folder: Path) -> str | None:
    """The tuning note of the sweep in `folder`, if the user gave one."""
    for name in TUNING_NOTES:
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8", errors="replace").strip() or None
    return None


def read_run(run: Path) -> Record | UnreadableRun:
    """The record in a run folder, or why there is none; a run recorded as running may have died since."""
    try:
        record = read_record(run)
        return record if record.status != "running" else _with_live_status(record)
    # RecursionError: a file of nothing but brackets
    except (OSError, ValueError, RecursionError) as error:
        return UnreadableRun(run, _reason(error))


def _with_live_status(record: Record) -> Record:
    holder = holder_of(record.path)
    if holder is not None:
        return replace(record, host=holder.host, process=holder.process, fraction_done=holder.fraction_done)
    if is_leased(record.path):
        return record
    # read again, for a run that has ended meanwhile: its outcome is written before its lease is released
    record = read_record(record.path)
    return record if record.status != "running" else replace(record, status="interrupted", error=PROCESS_DIED)


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

"""Finds the sweeps of a logdir, and reads them: records and full curves, each file again only when it has changed.

A process that is killed changes no file. So whether a process trains a run is part of the state of its files.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.curves import Curve, read_curves
from bakeoff.report.records import (
    Record,
    Sweep,
    UnreadableRun,
    as_sweep,
    read_run,
    read_tuning_note,
    run_folders,
)
from bakeoff.runs.lease import PREFIX as LEASE
from bakeoff.runs.lease import is_leased
from bakeoff.runs.outcome import FILE_NAME
from bakeoff.tensorboard.hparams import Hyperparameter, read_session_start

T = TypeVar("T")
# name, size, number, and times of the last changes: whether two are equal matters, not which is later. A file that is
# replaced within a tick of the clock by one of its size has another number.
FileStates = tuple[tuple[str, int, int, int, int], ...]
ALIVE = "/"  # in place of a file's name, which it cannot be
EVENTS = "events.out.tfevents."
MAX_DEPTH = 3  # folders between the logdir and a sweep: further down, a search would cost more than it finds


def find_sweeps(logdir: Path) -> dict[str, Path]:
    """Name -> folder of each sweep at or below `logdir`; the name is the path below it, `.` for itself."""
    return {str(folder.relative_to(logdir)): folder for folder in _sweeps_below(logdir, MAX_DEPTH)}


def _sweeps_below(folder: Path, depth: int) -> Iterator[Path]:
    if next(folder.glob(f"*/seed=*/{FILE_NAME}"), None):
        yield folder
    elif depth:
        with suppress(OSError):  # a folder that may not be read, or that was removed meanwhile
            for child in sorted(folder.iterdir()):
                if child.is_dir() and not child.name.startswith("."):
                    yield from _sweeps_below(child, depth - 1)


def sweep_title(folder: Path, name: str) -> str:
    """What a person calls the sweep."""
    return folder.resolve().name if name == "." else name


@dataclass(frozen=True)
class Snapshot:
    """A sweep at the time when it was read; `version` changes whenever a run does."""

    folder: Path
    sweep: Sweep
    version: str

    @property
    def arms(self) -> list[Arm]:
        """The arms of all runs that could be read."""
        return group_arms(self.sweep.records)


class SweepReader:
    """Reads sweeps for several threads of a server at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: _Cache[Record | UnreadableRun] = _Cache()
        self._curves: _Cache[dict[str, Curve]] = _Cache()
        self._hyperparameters: _Cache[dict[str, Hyperparameter]] = _Cache()

    def version(self, folder: Path) -> str:
        """Changes whenever a file of a run does, and when its process dies; reads none of them."""
        states = [(str(run), _without_leases(_file_states(run))) for run in run_folders(folder)]
        return hashlib.sha256(repr((states, _tuning_note(folder))).encode()).hexdigest()[:16]

    def snapshot(self, folder: Path) -> Snapshot:
        """Every run of the sweep, those that cannot be read among them."""
        with self._lock:
            version = self.version(folder)
            runs = [self._runs.get(run, _file_states(run, FILE_NAME, LEASE), read_run) for run in run_folders(folder)]
        return Snapshot(folder, as_sweep(runs, _tuning_note(folder)), version)

    def curves(self, run: Path) -> dict[str, Curve]:
        """Every point of every scalar curve of one run."""
        with self._lock:
            return self._curves.get(run, _file_states(run, EVENTS), read_curves)

    def hyperparameters(self, run: Path) -> dict[str, Hyperparameter]:
        """What the run wrote when it started: every choice and hyperparameter; empty where it wrote nothing."""
        with self._lock:
            return self._hyperparameters.get(run, _file_states(run, EVENTS)[:1], _read_hyperparameters)


def _tuning_note(folder: Path) -> str | None:
    with suppress(OSError):
        return read_tuning_note(folder)
    return None


def _read_hyperparameters(run: Path) -> dict[str, Hyperparameter]:
    first = sorted(run.glob(f"{EVENTS}*"))[:1]
    with suppress(OSError):
        return (read_session_start(first[0]) if first else None) or {}
    return {}


class _Cache(Generic[T]):
    """Folder -> what was read there, as long as the states of its files are the same."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[FileStates, T]] = {}

    def get(self, folder: Path, states: FileStates, read: Callable[[Path], T]) -> T:
        kept = self._kept.get(folder)
        if kept is None or kept[0] != states:
            kept = self._kept[folder] = states, read(folder)
        return kept[1]


def _file_states(run: Path, *prefixes: str) -> FileStates:
    """Of the files whose names begin so, or of all; and, if leases are among them, whether the process is alive."""
    found = []
    with suppress(OSError), os.scandir(run) as entries:  # the folder was removed, or may not be read
        for entry in entries:
            if entry.name.startswith(prefixes or ""):
                with suppress(FileNotFoundError):  # replaced in this very moment
                    state = entry.stat()
                    found.append((entry.name, state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns))
    if any(name.startswith(LEASE) for name, *_ in found):
        found.append((ALIVE, int(is_leased(run)), 0, 0, 0))
    return tuple(sorted(found))


def _without_leases(states: FileStates) -> FileStates:
    """A heartbeat changes a lease every few seconds, and nothing that a page shows."""
    return tuple(state for state in states if not state[0].startswith(LEASE))

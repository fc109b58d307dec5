"""Finds the sweeps of a logdir, and reads them: records and full curves, each file again only when it has changed.

A process that is killed changes no file. So whether one is at a run belongs to what its record looks like.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.curves import Curve, read_curves
from bakeoff.report.records import Problem, Record, Sweep, policy_of, read_run, run_folders, sweep_of
from bakeoff.runs.claim import PREFIX as CLAIM
from bakeoff.runs.claim import is_claimed
from bakeoff.runs.outcome import FILE_NAME
from bakeoff.tensorboard.hparams import Hyperparameter, read_session_start

T = TypeVar("T")
Stamp = tuple[tuple[str, int, int], ...]
ALIVE = "/"  # in place of a file's name, which it cannot be
DEEPEST = 3  # folders between the logdir and a sweep: further down, a search would cost more than it finds


def find_sweeps(logdir: Path) -> dict[str, Path]:
    """Name -> folder of each sweep at or below `logdir`; the name is the path below it, `.` for itself."""
    return {str(folder.relative_to(logdir)): folder for folder in _sweeps_below(logdir, DEEPEST)}


def _sweeps_below(folder: Path, deepest: int) -> Iterator[Path]:
    if next(folder.glob(f"*/seed=*/{FILE_NAME}"), None):
        yield folder
    elif deepest:
        with suppress(OSError):  # a folder that is not ours to read, or that was removed meanwhile
            for child in sorted(folder.iterdir()):
                if child.is_dir() and not child.name.startswith("."):
                    yield from _sweeps_below(child, deepest - 1)


@dataclass(frozen=True)
class Snapshot:
    """A sweep as it stood when it was read; `version` changes whenever a run does."""

    folder: Path
    sweep: Sweep
    version: str

    @property
    def arms(self) -> list[Arm]:
        """The arms of all runs that could be read."""
        return group_arms(self.sweep.records)


class Reader:
    """Reads sweeps for several threads of a server at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: _Cache[Record | Problem] = _Cache()
        self._curves: _Cache[dict[str, Curve]] = _Cache()
        self._hyperparameters: _Cache[dict[str, Hyperparameter]] = _Cache()

    def version(self, folder: Path) -> str:
        """Changes whenever a file of a run does, and when its process dies; reads none of them."""
        stamps = [(str(run), _without_heartbeats(_stamp(run))) for run in run_folders(folder)]
        return hashlib.sha256(repr((stamps, _policy(folder))).encode()).hexdigest()[:16]

    def snapshot(self, folder: Path) -> Snapshot:
        """Every run of the sweep; what cannot be read is among the problems."""
        with self._lock:
            version = self.version(folder)
            read = [self._records.get(run, _stamp(run, FILE_NAME, CLAIM), read_run) for run in run_folders(folder)]
        return Snapshot(folder, sweep_of(read, _policy(folder)), version)

    def curves(self, run: Path) -> dict[str, Curve]:
        """Every point of every scalar curve of one run."""
        with self._lock:
            return self._curves.get(run, _stamp(run, "events.out.tfevents."), read_curves)

    def hyperparameters(self, run: Path) -> dict[str, Hyperparameter]:
        """What the run wrote when it began: every choice and hyperparameter; empty where it wrote nothing."""
        with self._lock:
            return self._hyperparameters.get(run, _stamp(run, "events.out.tfevents.")[:1], _read_start)


def _policy(folder: Path) -> str | None:
    with suppress(OSError):
        return policy_of(folder)
    return None


def _read_start(run: Path) -> dict[str, Hyperparameter]:
    first = sorted(run.glob("events.out.tfevents.*"))[:1]
    with suppress(OSError):
        return (read_session_start(first[0]) if first else None) or {}
    return {}


class _Cache(Generic[T]):
    """Folder -> what was read there, as long as its files look the same."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Stamp, T]] = {}

    def get(self, folder: Path, stamp: Stamp, read: Callable[[Path], T]) -> T:
        kept = self._kept.get(folder)
        if kept is None or kept[0] != stamp:
            kept = self._kept[folder] = stamp, read(folder)
        return kept[1]


def _stamp(run: Path, *prefixes: str) -> Stamp:
    """The state of the files that begin so, of all without a prefix; and, if claims are among them, of the process."""
    found = []
    with suppress(OSError), os.scandir(run) as entries:  # removed, or not ours to read
        for entry in entries:
            if entry.name.startswith(prefixes or ""):
                with suppress(FileNotFoundError):  # replaced in this very moment
                    state = entry.stat()
                    found.append((entry.name, state.st_mtime_ns, state.st_size))
    if any(name.startswith(CLAIM) for name, _, _ in found):
        found.append((ALIVE, int(is_claimed(run)), 0))
    return tuple(sorted(found))


def _without_heartbeats(stamp: Stamp) -> Stamp:
    """For a page that would be drawn anew with every beat, and shows none."""
    return tuple(entry for entry in stamp if not entry[0].startswith(CLAIM))


def title(folder: Path, name: str) -> Any:
    """What a person calls the sweep."""
    return folder.resolve().name if name == "." else name

"""Where a run lives: `<root>/<sweep>/<arm>/seed=<n>`, with two identities never sharing a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.runs.arm import HASH_LENGTH, MAX_NAME_BYTES, folder_name, truncate
from bakeoff.runs.outcome import FILE_NAME, Outcome


def default_folder_name(arm: Mapping[str, Any], constant: Collection[str] = ()) -> str:
    """The name of an arm's folder without regard to what is there: without the keys that are `constant`."""
    return folder_name({key: value for key, value in arm.items() if key not in constant} or arm)


def arm_folder(
    sweep: Path, arm: Mapping[str, Any], identity: Callable[[int], str], constant: Collection[str] = ()
) -> str:
    """The name of the arm's folder in `sweep`.

    An arm that has runs there already, under whatever name, keeps its folder. A new name is built from the arm, without
    the keys that are `constant` in all arms of the command, so that it shows what differs. Where another arm has that
    name already (another command's, or a default or the data has changed since), what tells the new one from it is
    added; where that does not help, the whole arm is its name, and at last `~<hash>`; nothing is renamed. `identity`
    gives the identity of this arm's run with a seed, and is asked only if the sweep has runs.
    """
    existing = {folder.name: found for folder in _folders(sweep) if (found := _first_record(folder))}
    for name, record in existing.items():
        if record.identity == identity(record.seed):
            return name
    differing = {key: value for key, value in arm.items() if key not in constant}
    default = default_folder_name(arm, constant)
    taken = existing.get(default)
    apart = {k: v for k, v in arm.items() if k in differing or (taken and taken.arm.get(k) != v)}
    for candidate in (default, folder_name(apart or arm), folder_name(arm)):
        if candidate not in existing:
            return candidate
    digest = identity(0)[:HASH_LENGTH]
    return f"{truncate(folder_name(arm), MAX_NAME_BYTES - HASH_LENGTH - 1)}~{digest}"


def belongs_to_other_arm(run: Path, identity: Callable[[int], str]) -> bool:
    """Whether the folder of a run has come to belong to another arm since it was chosen for this one.

    `identity` gives the identity of this arm's run with a seed.
    """
    record = _first_record(run.parent)
    return record is not None and record.identity != identity(record.seed)


_FileState = tuple[int, int, int]


class _Record(NamedTuple):
    """What tells an arm's folder from another's."""

    seed: int
    identity: str
    arm: Mapping[str, Any]
    path: str


# arm's folder -> a record, and the state of its file: a sweep of a thousand jobs asks a thousand times for each
_cache: dict[str, tuple[_Record, _FileState]] = {}


def _folders(sweep: Path) -> list[Path]:
    try:
        with os.scandir(sweep) as entries:
            return [Path(entry.path) for entry in sorted(entries, key=lambda entry: entry.name) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):  # writing there will say more
        return []


def _first_record(folder: Path) -> _Record | None:
    """Of the first run that has one that can be read; a damaged one claims no name."""
    key = os.path.abspath(folder)
    known = _cache.get(key)
    if known is not None and _file_state(known[0].path) == known[1]:
        return known[0]
    _cache.pop(key, None)  # removed or replaced by its owner
    for path in sorted(folder.glob(f"seed=*/{FILE_NAME}")):
        state = _file_state(path)  # before it is read: what is replaced meanwhile is read again
        record = _read(path)
        if record is not None and state is not None:
            _cache[key] = record, state
            return record
    return None


def _file_state(path: str | Path) -> _FileState | None:
    """Equal as long as the file is; a file that is replaced by one of its size has another number."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> _Record | None:
    outcome, seed = Outcome.read(path.parent), path.parent.name.removeprefix("seed=")
    if outcome is None or not outcome.identity or not seed.isdecimal():  # a run that could not be built has none
        return None
    return _Record(int(seed), outcome.identity, outcome.arm, os.path.abspath(path))

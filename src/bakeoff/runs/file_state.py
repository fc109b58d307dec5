"""Whether files are as they were: by their content, or, where that is much, by what the file system says of them.

The time of a change (`ctime`) and the inode cannot be set back by a user, as the time of the content (`mtime`) can.
They tell two states of a file apart if the clock of the file system ticked between them: so a file that was changed a
moment ago is never known by them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_FILES = 5000  # with more, nothing is said of their state
MAX_BYTES_READ = 16 * 2**20  # up to here files are simply read
SETTLED_SECONDS = 2.0  # longer than a tick of any file system's clock
_CHUNK = 2**20

_contents: dict[str, tuple[str, str]] = {}  # file -> its state, and the hash of its content


@dataclass(frozen=True)
class Limit:
    """Up to how many files and bytes are read; what exceeds it is known by names and sizes alone."""

    files: float = float("inf")
    size: float = float("inf")


NO_LIMIT = Limit()


def state_of(path: str) -> str | None:
    """A hash that differs if a file, or any file below a folder, has changed; None where that cannot be said."""
    files = []
    for file in files_below(path):
        files.append((file, _stat(file)))
        if len(files) > MAX_FILES:
            return None
    sha = hashlib.sha256()
    is_small = sum(found.st_size for _, found in files if found) <= MAX_BYTES_READ
    for file, found in files:
        text = None if found is None else _hash_of_file(file) if is_small else _signature(found)
        if text is None and found is not None:
            return None
        sha.update(f"{file} {text}\n".encode("utf-8", "surrogateescape"))
    return sha.hexdigest()


def content_of(paths: Iterable[str], limit: Limit = NO_LIMIT) -> tuple[str, bool]:
    """A hash of the content of files, and of all files below folders, by their names there; and whether all was read.

    Raises:
        OSError: a file cannot be read.

    """
    files = [(_name(file, path), file, _stat(file)) for path in paths for file in files_below(path)]
    is_read = len(files) <= limit.files and sum(found.st_size for *_, found in files if found) <= limit.size
    sha = hashlib.sha256()
    for name, file, found in files:
        text = None if found is None else _cached_hash(file, found) if is_read else found.st_size
        sha.update(f"{name} {text}\n".encode("utf-8", "surrogateescape"))
    return sha.hexdigest(), is_read


def files_below(path: str) -> Iterator[str]:
    """The file itself, or all files below a folder, in a fixed order; links are followed, but in no circle."""
    if os.path.isfile(path):
        yield path
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            yield os.path.join(folder, name)


def _name(file: str, path: str) -> str:
    """Of a file in a folder that is given: the folder itself may lie anywhere."""
    return os.path.basename(file) if file == path else os.path.relpath(file, path)


def _stat(file: str) -> os.stat_result | None:
    """None for what holds no content: a broken link, a pipe."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _signature(found: os.stat_result) -> str | None:
    """None for a file that was changed a moment ago."""
    if not time.time() - found.st_ctime > SETTLED_SECONDS:
        return None
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _cached_hash(file: str, found: os.stat_result) -> str:
    before = _signature(found)
    known = _contents.get(file)
    if before is not None and known is not None and known[0] == before:
        return known[1]
    content = _hash_of_file(file)
    if before is not None:
        _contents[file] = (before, content)
    return content


def _hash_of_file(file: str) -> str:
    sha = hashlib.sha256()
    with open(file, "rb") as opened:
        while chunk := opened.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()

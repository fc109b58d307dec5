"""The files that a user's code reads while a part of a run is built, as Python's audit events tell of them.

What opens files without Python, as some readers of HDF5 and of images do, is not seen.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

CODE = (".py", ".pyc", ".so", ".pyd")
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/")

_State = tuple[int, int, int] | None  # inode, size and time of the content of a file; None if there is none
FilesRead = dict[str, _State]
_recording: list[dict[str, tuple[bool, _State]]] = []  # path -> only read?, and its state then; of each `files_read`


@contextmanager
def files_read() -> Iterator[FilesRead]:
    """Gives a dictionary that holds, afterwards, the files that were opened to be read, with their states then.

    Left out are code, what belongs to Python and its packages, hidden folders (caches), and what was also written.
    """
    _start_listening()
    opened: dict[str, tuple[bool, _State]] = {}
    found: FilesRead = {}
    _recording.append(opened)
    try:
        yield found
    finally:
        _recording[:] = [other for other in _recording if other is not opened]  # another thread may have begun since
        found |= {path: state for path, (is_read, state) in opened.items() if is_read and _is_users(path)}


def first_changed(read: FilesRead) -> str | None:
    """One of the files that has changed since it was read."""
    return next((path for path, state in read.items() if _state(path) != state), None)


def not_beneath(files: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of `files` that are none of the `known` paths, nor in a folder that is."""
    roots = [os.path.realpath(path) for path in known]
    return [file for file in files if not any(_is_beneath(os.path.realpath(file), root) for root in roots)]


def _is_beneath(file: str, root: str) -> bool:
    return file == root or file.startswith(root.rstrip(os.sep) + os.sep)


@cache  # a hook cannot be removed again
def _start_listening() -> None:
    sys.addaudithook(_listen)


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if not _recording or event != "open":
        return
    path, mode, flags = arguments
    if not isinstance(path, str | bytes | os.PathLike):  # the number of a file that is open already
        return
    name = os.path.abspath(os.fsdecode(path))
    is_read = not set(mode) & set("wax+") if isinstance(mode, str) else _reads(flags)
    state = _state(name)
    for opened in _recording:
        was_read, first = opened.get(name, (True, state))
        opened[name] = was_read and is_read, first


def _state(path: str) -> _State:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _reads(flags: object) -> bool:
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) == 0


def _is_users(path: str) -> bool:
    if path.endswith(CODE) or path.startswith((*SYSTEM, *_installed())) or not os.path.isfile(path):
        return False
    within = os.path.relpath(path) if _is_beneath(path, os.getcwd()) else path
    return not any(part.startswith(".") for part in within.split(os.sep))


@cache
def _installed() -> tuple[str, ...]:
    """Folders of Python and its packages."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)

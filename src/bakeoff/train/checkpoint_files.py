"""Checkpoints on disk: written whole or not at all, checked before they are used, never unpickled.

checkpoints/last.ckpt        from which a run is resumed, and at the end its final weights
checkpoints/previous.ckpt    the one before it, for when the last one is damaged; only while a run goes on
checkpoints/best.ckpt        the weights with the best validation metric
"""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
DAMAGED = ".damaged"


class UnsafeStateError(Exception):
    """A checkpoint holds what `torch.load(weights_only=True)` refuses to read."""


def write(path: Path, content: Mapping[str, Any], *, check: bool = False) -> None:
    """Writes beside, flushes to the disk, renames. With `check` it is read back first.

    Raises:
        OSError: it cannot be written; what stood there before still stands.
        UnsafeStateError: it could be written, but not read again.

    """
    path.parent.mkdir(exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        if check:
            _check_safe(beside)
        os.chmod(beside, 0o644)
        if path.name == LAST and path.exists():
            os.replace(path, path.with_name(PREVIOUS))
        os.replace(beside, path)
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from error  # torch's own words for a full disk say nothing of it
        raise


def _check_safe(path: str) -> None:
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeStateError(str(error).splitlines()[0]) from error


def read(path: Path) -> dict[str, Any] | None:
    """The content of a checkpoint, on the CPU. None if there is none, or if it is damaged: it is then set aside."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself does not look at the sums that it writes
            damaged = archive.testzip()
        if damaged is None:
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        reason = f"{damaged} does not match its sum"
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is said'}"
    aside = path.with_name(path.name + DAMAGED)
    os.replace(path, aside)
    log.warning("%s is damaged (%s): set aside as %s", path, reason, aside.name)
    return None


def remove(folder: Path, *names: str) -> None:
    """Removes checkpoints of a run, and the folder if it is empty then."""
    for name in names:
        (folder / FOLDER / name).unlink(missing_ok=True)
    for half in (folder / FOLDER).glob(".*.ckpt.*"):  # of a process that was killed while it wrote
        half.unlink(missing_ok=True)
    if (folder / FOLDER).is_dir() and not any((folder / FOLDER).iterdir()):
        (folder / FOLDER).rmdir()

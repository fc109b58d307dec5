"""Checkpoints on disk: written atomically, checked before they are used, never unpickled.

checkpoints/last.ckpt        from which a run is resumed, and at the end its final weights
checkpoints/previous.ckpt    the one before it, for when the last one is damaged; only until the run has ended
checkpoints/best.ckpt        the weights with the best validation metric

`last.ckpt` and `best.ckpt` hold the weights to use as `state_dict`, and what it takes to use them
(`net_description.py`).
"""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bakeoff.runs import write_atomically

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


class IncompleteStateError(Exception):
    """A part of the run keeps what no checkpoint holds: resumed from one, the run would not end with the same bits."""


class UnsafeStateError(Exception):
    """A checkpoint holds what `torch.load(weights_only=True)` refuses to read."""


def write(path: Path, content: Mapping[str, Any], *, check: bool = False) -> None:
    """Writes atomically; what was the last one becomes the previous one. With `check` it is read back first.

    Raises:
        OSError: it cannot be written; what was there before still is.
        UnsafeStateError: it could be written, but not read again.

    """
    path.parent.mkdir(exist_ok=True)

    def before_rename(temporary: str) -> None:
        if check:
            _check_safe(temporary)
        if path.name == LAST and path.exists():
            os.replace(path, path.with_name(PREVIOUS))

    try:
        write_atomically(path, lambda file: torch.save(dict(content), file), before_rename=before_rename)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
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
        with zipfile.ZipFile(path) as archive:  # torch itself does not check the sums that it writes
            damaged = archive.testzip()
        if damaged is None:
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        reason = f"{damaged} does not match its checksum"
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a message'}"
    set_aside(path, "damaged", f"is damaged ({reason})")
    return None


def set_aside(path: Path, suffix: str, reason: str) -> None:
    """Renames a file that is not used, and says why."""
    aside = path.with_name(f"{path.name}.{suffix}")
    os.replace(path, aside)
    log.warning("%s %s: set aside as %s", path, reason, aside.name)


def remove(folder: Path, *names: str) -> None:
    """Removes checkpoints of a run, and the folder if it is empty then."""
    for name in names:
        (folder / FOLDER / name).unlink(missing_ok=True)
    for partial in (folder / FOLDER).glob(".*.ckpt.*"):  # of a process that was killed while it wrote
        partial.unlink(missing_ok=True)
    if (folder / FOLDER).is_dir() and not any((folder / FOLDER).iterdir()):
        (folder / FOLDER).rmdir()

"""Writes a file so that nobody ever reads half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(
    path: Path,
    content: str | bytes | Callable[[BinaryIO], object],
    *,
    before_rename: Callable[[str], object] | None = None,
) -> None:
    """Writes beside, flushes to the disk, renames: a reader sees the old file or the new one, never a part.

    Args:
        path: the file; its folder must be there.
        content: the text, as UTF-8; the bytes; or a function that writes into the open file.
        before_rename: called with the path of the whole new file; what it raises leaves the old file in place.

    Raises:
        OSError: it cannot be written; what was there before is still there.

    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if before_rename is not None:
            before_rename(temporary)
        os.chmod(temporary, 0o644)  # mkstemp's own mode hides the file from everybody else
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

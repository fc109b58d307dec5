"""Read IDX files, the format of MNIST: two zero bytes, a type, the number of axes, their sizes, the values.

torchvision's reader opens uncompressed files only: it needs the archives unpacked next to them, which a
read-only folder does not allow. It reports a damaged file with a bare assertion.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import UserError

_UINT8 = 8  # the code of unsigned bytes, the only type that the MNIST family uses


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of bytes, compressed or not. Raises UserError if it is damaged."""
    data = _read(path)
    if len(data) < 4 or data[:3] != bytes([0, 0, _UINT8]):
        raise _damaged_error(path, f"starts with {data[:4]!r}, not with the header of an IDX file of bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise _damaged_error(path, "ends inside its header")
    sizes = tuple(int(size) for size in np.frombuffer(data, ">u4", count=data[3], offset=4))
    if len(data) - start != math.prod(sizes):
        raise _damaged_error(path, f"holds {len(data) - start} values but its header says {math.prod(sizes)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes)


def _read(path: Path) -> bytes:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise _damaged_error(path, f"cannot be read: {error}") from error
    if not data:
        raise _damaged_error(path, "is empty")
    return data


def _damaged_error(path: Path, what: str) -> UserError:
    return UserError(f"{path} {what}; delete it and fetch it again with data.download=true, or replace it")

"""CIFAR-10 from its binary version: the Python version is a pickle, which can run code when it is loaded.

A record is 1 byte of label and 3 x 32 x 32 bytes of image, channel after channel (Krizhevsky 2009).
"""

import tarfile
import zlib
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision.datasets.utils import download_and_extract_archive

from bakeoff.data.arrays import Arrays
from bakeoff.data.assemble import assemble
from bakeoff.data.checks import RawPart
from bakeoff.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"

Records = NDArray[np.uint8]  # (N, 3073)
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_CLASSES = 10


def cifar10(
    *, root: str | Path, download: bool = False, val_size: float = 5000, split_seed: int = 0, drop_last: bool = False
) -> Arrays:
    """60,000 colour images, `(3, 32, 32)`, from `<root>/cifar-10-batches-bin` or the archive in `root`.

    The official test set is the test set; validation is a stratified part of the training set.
    """
    root = Path(root).expanduser().absolute()
    if download and not _is_present(root):
        _download(root)
    if not _is_present(root):
        raise UserError(
            f"CIFAR-10 (binary version) not found: neither {FOLDER}/ nor {ARCHIVE} in {root}; set "
            "data.root=FOLDER to the folder that holds one of them, or fetch it with data.download=true"
        )
    files = _read_folder(root / FOLDER) if (root / FOLDER).is_dir() else _read_archive(root / ARCHIVE)
    raw = {"train": _part([files[name] for name in TRAIN]), "test": _part([files[TEST]])}
    return assemble(raw, where=str(root), sizes={"val": val_size}, split_seed=split_seed, drop_last=drop_last)


def _is_present(root: Path) -> bool:
    return (root / FOLDER).is_dir() or (root / ARCHIVE).is_file()


def _read_folder(folder: Path) -> dict[str, Records]:
    try:
        return {name: _records(folder / name, (folder / name).read_bytes()) for name in (*TRAIN, TEST)}
    except OSError as error:
        raise _damaged_error(folder, f"cannot be read: {error}") from error


def _read_archive(path: Path) -> dict[str, Records]:
    members = {f"{FOLDER}/{name}": name for name in (*TRAIN, TEST)}
    files = {}
    try:
        with tarfile.open(path, "r|gz") as archive:  # as a stream: every byte is decompressed once
            for member in archive:
                if member.name in members and (file := archive.extractfile(member)):
                    files[members[member.name]] = _records(path / member.name, file.read())
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _damaged_error(path, f"cannot be read: {error}") from error
    if missing := set(members.values()) - set(files):
        raise _damaged_error(path, f"lacks {', '.join(sorted(missing))}")
    return files


def _records(path: Path, data: bytes) -> Records:
    if not data or len(data) % _RECORD:
        raise _damaged_error(
            path, f"holds {len(data)} bytes, not a positive multiple of {_RECORD}, the size of a record"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() >= _CLASSES:
        raise _damaged_error(path, f"holds a label {records[:, 0].max()}, not in [0, {_CLASSES})")
    return records


def _part(batches: list[Records]) -> RawPart:
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]


def _damaged_error(path: Path, what: str) -> UserError:
    return UserError(f"{path} {what}; delete it and fetch it again with data.download=true, or replace it")


def _download(root: Path) -> None:
    try:
        download_and_extract_archive(URL, str(root), md5=MD5)
    except (OSError, RuntimeError, HTTPException, tarfile.TarError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"CIFAR-10 could not be downloaded into {root}: {reason}; check the network and that the "
            f"folder is writable, or set data.root=FOLDER to a folder that holds {FOLDER}/ or {ARCHIVE}"
        ) from error

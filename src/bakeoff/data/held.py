"""What a user's data set or data module says of its own content, or else holds in memory.

A data object declares itself by an attribute `fingerprint` (text, bytes or a whole number that changes with the
content), or `files` (a path or several; a folder stands for all files in it). Of one that does neither, the tensors,
arrays, tables and lists among its attributes are read, nested data sets included, and the files that it names. That
this is all that it serves is known if it holds inputs for each of its samples and nothing whose content cannot be read;
a file that its code names, and no attribute, is not seen. Transforms and other callables are known by their source.
"""

from __future__ import annotations

import enum
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import VisionDataset

MAX_ITEMS = 1_000_000  # of lists and the like; what holds more is not read
MAX_BYTES = 2**30  # of tensors and arrays
PLAIN = (bool, int, float, complex, str, bytes, range, slice, np.generic, torch.dtype, torch.device, enum.Enum)
MAX_TENSORS = 100  # of a list or dictionary of them
MAX_PATH = 4096  # characters
_FILE_NAME = re.compile(r"\S*[^\s.]\.[A-Za-z]\w{0,4}$")  # a text that reads so may name a file


@dataclass(frozen=True)
class Held:
    """The content of a data object, as far as it is known without its samples being read.

    `digest` is that of what it declares or holds; None where that is nothing. `files` are paths whose content is part
    of it. `is_declared` says that the object declares itself; `is_known`, that this is all that it serves.
    """

    digest: str | None
    files: tuple[str, ...]
    is_declared: bool
    is_known: bool


def held_by(source: object) -> Held:
    """The Held of a Dataset or LightningDataModule."""
    reader = _Reader()
    if reader.declared(source):
        return Held(reader.digest(), tuple(reader.files), is_declared=True, is_known=True)
    if isinstance(source, L.LightningDataModule):  # its loaders may read anything
        reader.data_module(source)
        is_known = False
    else:
        is_known = reader.dataset(source)
    return Held(reader.digest(), tuple(reader.files), is_declared=False, is_known=is_known and reader.is_complete)


class _Reader:
    """Hashes values, and collects the files that they name. `is_complete` until something cannot be read."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}  # in order
        self.is_complete = True
        self._sha, self._is_empty = hashlib.sha256(), True
        self._items, self._bytes = 0, 0
        self._open: list[int] = []  # the containers that are being read: one may hold itself

    def digest(self) -> str | None:
        return None if self._is_empty else self._sha.hexdigest()

    def declared(self, source: object) -> bool:
        """Reads what a data object declares; False if it declares nothing."""
        fingerprint, files = getattr(source, "fingerprint", None), getattr(source, "files", None)
        if isinstance(fingerprint, (str, bytes, int)) and not isinstance(fingerprint, bool):
            self._add(f"fingerprint {fingerprint!r}".encode("utf-8", "surrogatepass"))
            return True
        paths = [files] if isinstance(files, (str, os.PathLike)) else files
        if not isinstance(paths, (list, tuple, set, frozenset)) or not paths:
            return False
        if not all(isinstance(path, (str, os.PathLike)) and os.path.exists(path) for path in paths):
            return False  # names in some folder: an attribute that is called so for another purpose
        ordered = sorted(map(os.fspath, paths)) if isinstance(paths, (set, frozenset)) else map(os.fspath, paths)
        self.files.update(dict.fromkeys(ordered))
        return True

    def data_module(self, module: object) -> None:
        """Data sets, tensors and arrays among its attributes; other things change with the trainer."""
        for name, value in sorted(vars(module).items()):
            if isinstance(value, (Dataset, Tensor, np.ndarray)):
                self._add(name.encode())
                self.value(value)

    def dataset(self, source: Any) -> bool:
        """Whether all that it serves has been read."""
        try:
            attributes, size = vars(source), len(source)
        except (TypeError, NotImplementedError, AttributeError):
            return False
        if isinstance(source, VisionDataset) and type(source).__module__.startswith("torchvision."):
            self.files[str(source.root)] = None  # it reads nothing else
            return True
        holds_inputs = False
        for name, value in sorted(attributes.items()):
            if isinstance(value, PLAIN) and not isinstance(value, str):
                continue  # settings, or taken from the data
            if isinstance(value, (str, os.PathLike)):
                self.is_complete &= self._path(os.fspath(value), may_be_folder=True)
                continue
            self._add(name.encode())
            holds_inputs |= self.value(value) and (_holds_datasets(value) or _holds_inputs(value, size))
        return holds_inputs

    def value(self, value: Any) -> bool:
        """Reads a value; whether that could be done."""
        self._items += 1
        is_read = self._items <= MAX_ITEMS and id(value) not in self._open and self._value(value)
        self.is_complete &= is_read
        return is_read

    def _value(self, value: Any) -> bool:
        if value is None or isinstance(value, (str, os.PathLike)):
            return self._text(value)
        if isinstance(value, PLAIN):
            self._add(f"{type(value).__name__} {value!r}".encode())
            return True
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray):
            return self._array(value)
        if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_numpy"):
            columns = getattr(value, "columns", ())
            parts = [value[column].to_numpy() for column in columns] if len(columns) else [value.to_numpy()]
            return self._nested(value, [list(columns), *parts])
        if isinstance(value, (list, tuple, set, frozenset, Mapping)):
            return self._container(value)
        if isinstance(value, Dataset):
            return self._dataset(value)
        return callable(value) or isinstance(value, torch.Generator)  # code, and where a draw begins

    def _container(self, value: Any) -> bool:
        if isinstance(value, Mapping):
            return self._nested(value, [item for pair in value.items() for item in pair])
        return self._nested(value, sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)

    def _nested(self, holder: object, values: Iterable[Any]) -> bool:
        self._open.append(id(holder))
        self._add(f"{type(holder).__name__} (".encode())
        are_read = [self.value(value) for value in values]  # all: what cannot be read hides nothing behind it
        self._add(b")")
        self._open.pop()
        return all(are_read)

    def _dataset(self, value: object) -> bool:
        self._open.append(id(value))
        is_read = self.declared(value) or self.dataset(value)
        self._open.pop()
        return is_read

    def _tensor(self, value: Tensor) -> bool:
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            return False
        self._add(f"tensor {value.dtype} {tuple(value.shape)}".encode())
        self._bytes += value.nbytes
        if self._bytes > MAX_BYTES:
            return False
        self._add(
            value.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8).numpy().data
        )
        return True

    def _array(self, value: np.ndarray) -> bool:
        if value.dtype.hasobject:
            return value.dtype == object and self._nested(value, [list(value.shape), *value.ravel().tolist()])
        self._add(f"array {value.dtype} {value.shape}".encode())
        self._bytes += value.nbytes
        if self._bytes > MAX_BYTES:
            return False
        self._add(np.ascontiguousarray(value).view(np.uint8).reshape(-1).data if value.size else b"")
        return True

    def _text(self, value: Any) -> bool:
        self._add(f"{type(value).__name__} {value!s}".encode("utf-8", "surrogatepass"))
        return value is None or self._path(os.fspath(value))

    def _path(self, text: str | bytes, *, may_be_folder: bool = False) -> bool:
        """Takes in a file that is named; whether the text names none, or one that is there."""
        if isinstance(text, bytes) or "\0" in text or len(text) > MAX_PATH:
            return True
        is_path = may_be_folder or os.sep in text or _FILE_NAME.match(text)  # a look at the disk for each text is slow
        if text and is_path and (os.path.exists if may_be_folder else os.path.isfile)(text):
            self.files[text] = None
            return True
        return _FILE_NAME.match(text) is None

    def _add(self, content: bytes | memoryview) -> None:
        self._is_empty = False
        self._sha.update(f" {len(content)} ".encode())
        self._sha.update(content)


def _holds_datasets(value: object) -> bool:
    held = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(item, Dataset) for item in held)


def _holds_inputs(value: Any, size: int) -> bool:
    """Whether it holds something for each sample, and not just a label or a number of it."""
    if isinstance(value, (Tensor, np.ndarray)):
        is_whole = not (value.is_floating_point() if isinstance(value, Tensor) else value.dtype.kind not in "iub")
        return value.ndim > 0 and len(value) == size and (value.ndim > 1 or not is_whole)
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        return hasattr(value, "to_numpy") and len(value) == size
    if value and len(value) == size and not isinstance(value[0], (int, np.integer)):
        return True
    return len(value) <= MAX_TENSORS and any(_holds_inputs(item, size) for item in value)

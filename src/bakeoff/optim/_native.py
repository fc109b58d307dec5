"""RMSprop on the CPU by our own kernel in C (`_rmsprop.c`), compiled by the machine's C compiler at its first use.

Compiling takes half a second, once: the library is kept in the user's cache folder, under a name made of the source,
the flags, the compiler and the processor. Without a compiler there is no library, and `_foreach` takes the steps.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from array import array
from functools import cache
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from bakeoff.optim._tensors import Group, Tensors

_SOURCE = Path(__file__).with_name("_rmsprop.c")
# not -ffast-math: NaN and infinity are results
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=gnu99", "-fPIC", "-shared", "-pthread")
_MIN_ELEMENTS_PER_THREAD = 2**16


class _Arguments(ctypes.Structure):
    """`Arguments` of `_rmsprop.c`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("theta", "gradient", "v", "m", "b", "sizes")),
        ("tensors", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("lr", "alpha", "eps", "weight_decay", "momentum")),
        *((name, ctypes.c_int32) for name in ("maximize", "is_double")),
    )


def rmsprop(tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
    """`rmsprop.rmsprop_update` of float32 or float64 tensors. Raises OSError if there is no compiled library."""
    library = _library()
    if grad_scale is not None:
        for grad in tensors.grads:
            grad.div_(grad_scale)
    averages = dict(tensors.averages)
    if group["momentum"] == 0:  # a replica without momentum beside others that have it
        averages.pop("momentum_buffer", None)
    lists = [tensors.params, tensors.grads, *(averages.get(n) for n in ("square_avg", "grad_avg", "momentum_buffer"))]
    tables = [None if of_kind is None else array("q", map(Tensor.data_ptr, of_kind)) for of_kind in lists]
    sizes = array("q", map(Tensor.numel, tensors.params))
    arguments = _Arguments(
        *(None if table is None else table.buffer_info()[0] for table in (*tables, sizes)),
        len(tensors),
        *(float(group[name]) for name in ("lr", "alpha", "eps", "weight_decay", "momentum")),
        group["maximize"],
        tensors.params[0].dtype == torch.float64,
    )
    threads = min(torch.get_num_threads(), max(1, sum(sizes) // _MIN_ELEMENTS_PER_THREAD))
    library.rmsprop(ctypes.byref(arguments), threads)
    increment_version([*tensors.params, *chain.from_iterable(averages.values())])


@cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise OSError("no C compiler: install one, or name it in CC")
    path = _cache_folder() / f"rmsprop-{_fingerprint(compiler)}.so"
    if not path.exists():
        _compile(compiler, path)
    try:
        library = ctypes.CDLL(str(path))
    except OSError:  # an incomplete file, after a crash or on a full disk
        _compile(compiler, path)
        library = ctypes.CDLL(str(path))
    library.rmsprop.restype = None
    library.rmsprop.argtypes = (ctypes.c_void_p, ctypes.c_int32)
    return library


def _cache_folder() -> Path:
    """The user's cache folder, or a temporary one; no other user can write to it."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bakeoff"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022:
            with tempfile.TemporaryFile(dir=folder):
                return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="bakeoff-"))


def _fingerprint(compiler: str) -> str:
    """A hash of what the library depends on: machines that share a home folder may have different processors."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = "".join(sorted({line for line in file if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        processor = platform.platform() + platform.processor()
    parts = (_SOURCE.read_bytes(), " ".join(_FLAGS).encode(), compiler.encode(), version, processor.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(compiler: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        compiled = Path(folder, path.name)
        command = [compiler, *_FLAGS, str(_SOURCE), "-o", str(compiled), "-lm"]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if result.returncode != 0:
            raise OSError(f"{compiler} cannot compile {_SOURCE.name}: {result.stderr.strip()[:200]}")
        os.replace(compiled, path)

"""What an outcome says of a bad end: the kind of error, and whether the run can be resumed."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import torch

from bakeoff.runs import Outcome

NO_STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
STOPPED = "Stopped"  # the type of the error of a run that was asked to stop
OUT_OF_MEMORY = "OutOfMemory"  # of a run that the memory of its device does not hold
# what torch says where it raises a plain RuntimeError
NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",  # on Windows
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)

Error = dict[str, str | int | None]


def as_error(kind: str, message: str, step: int | None = None, trace: str | None = None) -> Error:
    """The `error` of an outcome. `step` is the first bad optimizer step."""
    return {"type": kind, "message": message, "step": step, "traceback": trace}


def was_stopped(outcome: Outcome) -> bool:
    """Whether the run ended since it was asked to stop."""
    return outcome.status == "interrupted" and (outcome.error or {}).get("type") == STOPPED


def stopped_error() -> Error:
    """The error of a run that was asked to stop."""
    return as_error(STOPPED, "stopped from outside")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be allocated, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def classify_error(error: BaseException, folder: Path, *, step: int, stop_requested: bool) -> tuple[str, Error]:
    """Status and error of a run in which `error` was raised; to be called while it is handled.

    Args:
        error: what was raised.
        folder: the run's.
        step: the optimizer step in which it was raised, counted from 1.
        stop_requested: whether the run had been asked to stop.

    """
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted", stopped_error()
    if isinstance(error, OSError) and _is_of_storage(error, folder):
        # a disk that is full, or a folder that cannot be written any more, is no fault of the run: it can resume
        return "interrupted", as_error(kind, f"cannot write to {error.filename or folder}: {error.strerror}")
    if isinstance(error, BrokenPipeError):  # as by `bakeoff | head`: nothing is wrong with the run
        return "interrupted", as_error(kind, "what it printed to was closed", step)
    if stop_requested:  # what was stopped with it, such as a loader's processes, may have failed first
        return "interrupted", stopped_error()
    if is_out_of_memory(error):
        return "failed", as_error(OUT_OF_MEMORY, _first_line(error), step, traceback.format_exc())
    return "failed", as_error(kind, _message(error), step, traceback.format_exc())


def _message(error: BaseException) -> str:
    """What it says; of an error in a process of a DataLoader the last line: torch puts the traceback before it."""
    text = str(error)
    if not (text.startswith("Caught ") and "in DataLoader worker process" in text):
        return text
    return text.rstrip().splitlines()[-1].partition(": ")[2] or text


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_of_storage(error: OSError, folder: Path) -> bool:
    ours = isinstance(error.filename, str) and Path(error.filename).absolute().is_relative_to(folder.absolute())
    return error.errno in NO_STORAGE or ours

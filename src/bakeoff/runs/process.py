"""Tells a process from another that has its number, and a machine from another that has its name."""

from __future__ import annotations

import os
import platform
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil


@cache
def machine() -> str:
    """The name of this boot of the machine, and of the container's own numbering of processes, where there is one."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    if len(parts) == 1:  # not Linux
        parts += [platform.system(), str(round(psutil.boot_time()))]
    return "/".join(parts)


def start_time(process: int) -> float | None:
    """When a process of this machine started; None if it does not exist, or is a zombie.

    On Linux in the kernel's ticks since the boot: psutil gives the time of day, which moves when the clock is set.

    Raises:
        PermissionError: it exists, and nothing else is said about it.

    """
    if _has_proc():
        with suppress(FileNotFoundError, ProcessLookupError):
            # the name of the program, in brackets, may hold anything
            state, *fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
            return None if state in (b"Z", b"X") else float(fields[18])  # field 22 of proc(5), starttime
        return None
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return None
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error


@cache
def _has_proc() -> bool:
    return os.access("/proc/self/stat", os.R_OK)

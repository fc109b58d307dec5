"""Writes the output of a command to a terminal, a file or a pipe."""

from __future__ import annotations

import io
import os
import sys


def escape_unencodable_output() -> None:
    r"""Makes a terminal without Unicode show `\u2026` where printing would otherwise fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Writes to stdout, whose reader may stop early."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; the interpreter would complain again at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

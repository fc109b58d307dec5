"""What a command says to a terminal, a file or a pipe."""

import io
import os
import sys


def show_what_a_terminal_can() -> None:
    r"""A terminal without Unicode shows \u2026 and the command goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """To stdout, whose reader may stop early."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; the interpreter would complain again at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

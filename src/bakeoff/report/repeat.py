"""The shell command that repeats a run: in the same directory, into the same folder."""

from __future__ import annotations

import shlex

from bakeoff.report.hydra_files import command_line_options
from bakeoff.report.record import Record


def command_of(record: Record) -> str:
    """One line that can be pasted into a shell. The overrides of a run hold its `sweep=` and `root=`, if it had any."""
    return " ".join(map(_quote, ["bakeoff", *command_line_options(record.path), *record.overrides]))


def _quote(text: str) -> str:
    """Quoted; what ends a line or moves a cursor is escaped, as bash and zsh read it."""
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape, text))}'"


def _escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogatepass"))

"""The one exception for what a user can repair, and the wording that every refusal shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

USAGE_STATUS = 2  # the exit status of a command that was refused


class UserError(Exception):
    """A mistake in a command, a configuration or a data file. The message names the remedy and is shown alone."""


def require(holds: bool, key: str, bound: str, value: Any) -> None:
    """Raises UserError with key, bound and value, unless `holds`."""
    if not holds:
        raise UserError(f"{key} must be {bound}, got {value}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` for a word close to a known one, otherwise nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""

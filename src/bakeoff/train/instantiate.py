"""Makes a part of a run from its `_target_`, whoever wrote it, and says in one line what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException

from bakeoff.errors import UserError
from bakeoff.train.check_truth import check_truth


def instantiate(part: str, settings: Mapping[str, Any], *, partial: bool = False, **filled: Any) -> Any:
    """Hydra's instantiate into plain containers, with what went wrong in one line.

    Raises:
        UserError: the target cannot be found or called, or an argument that is true or false is given something else,
            or the other way round; the message begins with the name of the part.

    """
    node = {**settings, **filled, **({"_partial_": True} if partial else {})}
    if not node.get("_target_"):
        raise UserError(f"{part}: no class is named; choose a {part} or give {part}._target_=package.module.Class")
    check_truth(part, settings)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise _plain_error(part, error) from error


def _plain_error(part: str, error: InstantiationException) -> UserError:
    """Hydra wraps what a class raises in its own words: the innermost cause is what helps."""
    cause = first_cause(error)
    return cause if isinstance(cause, UserError) else UserError(f"{part}: {one_line(cause)}")


def first_cause(error: BaseException) -> BaseException:
    """What an error was raised from in the end, or the first of our own on the way there."""
    while error.__cause__ is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


def one_line(error: BaseException) -> str:
    """The first line of what an error says."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) else text  # the key alone says nothing

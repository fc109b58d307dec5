"""Refuses options that an optimizer takes by `**kwargs` and never looks at, as some of pytorch_optimizer do."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import hydra.utils

from bakeoff.errors import UserError, did_you_mean
from bakeoff.train.unread_keys import INSTANTIATE_KEYS


def refuse_unread_arguments(part: str, settings: Mapping[str, Any]) -> None:
    """Refuses a setting that the class has no parameter for, where its constructor does not read its `**kwargs`.

    What it passes on, to a class above or into a dictionary, counts as read.

    Raises:
        UserError: names the argument, and the parameter that is like it.

    """
    try:
        target = hydra.utils.get_object(settings["_target_"])
        function = target.__init__ if inspect.isclass(target) else target
        parameters = inspect.signature(function, follow_wrapped=False).parameters
    except Exception:  # cannot be found, or a builtin without a signature: told when it is called
        return
    rest = [name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    known = parameters.keys() - {"self", "params", *rest}
    unknown = [name for name in settings if name not in known | INSTANTIATE_KEYS]
    if rest and unknown and not _reads(function, rest[0]):
        close = did_you_mean(unknown[0], sorted(known))
        raise UserError(f"nothing reads {part}.{unknown[0]}: {target.__name__} ignores it{close}; remove it")


def _reads(function: Callable[..., Any], name: str) -> bool:
    """Whether a variable is read in a function; also where its source is not there, or it may be read by `locals()`."""
    if hasattr(function, "__wrapped__"):  # the source would be that of what it wraps
        return True
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return True
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return not names.isdisjoint({name, "locals", "vars", "eval", "exec"})

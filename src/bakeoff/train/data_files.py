"""The files that the settings of the data name, or the default arguments of what they call."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

import hydra.utils


def named_files(settings: Mapping[str, Any], *, with_defaults: bool) -> dict[str, str]:
    """Argument -> path of something that exists: every text in the settings of the data that is such a path.

    Args:
        settings: those of the data.
        with_defaults: whether to look at the arguments that are left at their defaults, too.

    """
    return dict(_named("", settings, with_defaults))


def _named(key: str, node: Any, with_defaults: bool) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        defaults = _defaults(str(node["_target_"])) if with_defaults and node.get("_target_") else {}
        for name, item in {**defaults, **node}.items():
            if not str(name).startswith("_"):
                yield from _named(f"{key}.{name}" if key else str(name), item, with_defaults)
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _named(f"{key}.{number}", item, with_defaults)
    elif isinstance(node, (str, os.PathLike)) and (path := os.path.expanduser(os.fspath(node))) and _exists(path):
        yield key, os.path.abspath(path)


def _exists(path: str) -> bool:
    return "\0" not in path and os.path.exists(path)


def _defaults(target: str) -> dict[str, Any]:
    """The default arguments of a class or function; none where it cannot be found, which loading it will say."""
    try:
        parameters = inspect.signature(hydra.utils.get_object(target)).parameters
    except Exception:  # whatever a user's module raises on import
        return {}
    return {name: parameter.default for name, parameter in parameters.items()}


def contains_work(path: str, root: str) -> bool:
    """Whether a folder holds the working directory, or the outputs: such a folder changes without its data changing."""
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, os.path.realpath(work)]) == real for work in (os.getcwd(), root))

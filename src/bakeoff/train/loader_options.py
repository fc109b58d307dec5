"""`data.drop_last`, `data.num_workers` and `data.pin_memory`: of a user's data set said to what serves it.

Where the class or function of the data has an argument of that name, it is given that, as our own data sets are given
`drop_last`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import hydra.utils

from bakeoff.errors import require
from bakeoff.runs.execution import is_whole


class LoaderOptions(NamedTuple):
    """How the samples of a data set are served; see `bakeoff.data.as_datamodule`."""

    drop_last: bool = False
    num_workers: int = 0
    pin_memory: bool = False


def without_loader_options(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], LoaderOptions]:
    """The node of the data without our options, and those; an argument of its own class stays in the node.

    Raises:
        UserError: one is of the wrong kind.

    """
    taken = _parameters(str(data.get("_target_")))
    given = {key: data[key] for key in LoaderOptions._fields if key in data and key not in taken}
    for key, value in given.items():
        if key == "num_workers":
            require(is_whole(value, 0), "data.num_workers", "a whole number >= 0", value)
        else:
            require(isinstance(value, bool), f"data.{key}", "true or false", value)
    return {key: value for key, value in data.items() if key not in given}, LoaderOptions(**given)


def _parameters(target: str) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(hydra.utils.get_object(target)).parameters)
    except Exception:  # it cannot be imported, which will be said where it is called, or is a builtin
        return frozenset()

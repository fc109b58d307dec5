"""`data.drop_last`: of our data sets an argument of their own, for a user's data set said to what serves it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import hydra.utils

from bakeoff.errors import require


def without_drop_last(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The node of the data without our `drop_last`, and that; an argument of its own class stays in the node.

    Raises:
        UserError: it is neither true nor false.

    """
    if "drop_last" not in data or _takes_drop_last(str(data.get("_target_"))):
        return data, False
    value = data["drop_last"]
    require(isinstance(value, bool), "data.drop_last", "true or false", value)
    return {key: given for key, given in data.items() if key != "drop_last"}, value


def _takes_drop_last(target: str) -> bool:
    try:
        return "drop_last" in inspect.signature(hydra.utils.get_object(target)).parameters
    except Exception:  # it cannot be imported, which will be said where it is called, or is a builtin
        return False

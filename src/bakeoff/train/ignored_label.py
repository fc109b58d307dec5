"""The label that a loss ignores, read off its settings: the data is loaded before the loss is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakeoff.errors import UserError
from bakeoff.train.net import arguments_of, locate


def ignored_label(loss: Mapping[str, Any]) -> int | None:
    """Its setting `ignore_index`, else the default of its class, or the attribute of its class; None where it has none.

    The loss itself may say something else once it is built, by which all labels are then checked.
    """
    found = loss.get("ignore_index")
    if found is None:
        try:
            target = locate("loss", loss)
        except UserError:  # said where it is built, if it is
            return None
        argument = arguments_of(target).get("ignore_index")
        found = getattr(target, "ignore_index", None) if argument is None else argument.default
    return found if isinstance(found, int) and not isinstance(found, bool) else None

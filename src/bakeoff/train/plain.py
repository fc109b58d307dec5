"""Which values a checkpoint can hold beside tensors, so that it is read with `weights_only=True`."""

from __future__ import annotations

from typing import Any


def is_plain(value: Any) -> bool:
    """Whether it is None, a number, a text, or a list, tuple or dictionary of them."""
    if isinstance(value, dict):
        return all(is_plain(one) for one in (*value, *value.values()))
    if isinstance(value, list | tuple):
        return all(is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str)

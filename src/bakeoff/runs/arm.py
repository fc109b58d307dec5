"""The arm of a run: what its command line chose, as typed values, and the folder name built from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from bakeoff.runs.execution import is_arm_key

MAX_NAME_BYTES = 120
HASH_LENGTH = 8
# Beside letters and digits of any script; `~` sets off a hash, `%` an escaped character.
PLAIN_CHARACTERS = frozenset("-_.+@^()[]{}")


def arm_of(overrides: Iterable[str]) -> dict[str, Any]:
    """Maps override keys to typed values, without the keys that make no other arm (`bakeoff.runs.execution`).

    `["optimizer=adam", "optimizer.lr=1e-2", "seed=3"]` gives `{"optimizer": "adam", "optimizer.lr": 0.01}`.
    """
    values = override_values(OverridesParser.create().parse_overrides(list(overrides)))
    return {key: to_json(value) for key, value in values.items() if is_arm_key(key)}


def override_values(overrides: Iterable[Override]) -> dict[str, Any]:
    """Key -> value that it is given, None where it is deleted; the last one counts.

    A dictionary sets the keys in it, as Hydra merges it: `optimizer=sgd optimizer={lr: 0.1}` gives `optimizer` and
    `optimizer.lr`.
    """
    return {
        key: value
        for override in overrides
        for key, value in _leaves(_key(override), None if override.is_delete() else override.value())
    }


def constant_keys(overrides: Iterable[str]) -> list[str]:
    """The keys of a multirun's command that have one value for all its runs.

    Empty if there is no other key of an arm: the runs then differ in their seed alone, and what they share names them.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    swept = {key for override in parsed if override.is_sweep_override() for key in _swept_keys(override)}
    if not any(is_arm_key(key) for key in swept):
        return []
    constant = override_values(override for override in parsed if not override.is_sweep_override())
    return [key for key in constant if key not in swept and is_arm_key(key)]


def _swept_keys(override: Override) -> Iterator[str]:
    """The key; or those in the dictionaries between its commas."""
    values = getattr(override.value(), "list", None) or [None]  # an interval or a glob has no list
    for value in values:
        yield from (key for key, _ in _leaves(_key(override), value))


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for inner, own in value.items():
            yield from _leaves(f"{key}.{inner}", own)
    else:
        yield key, value


def _key(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def to_json(value: Any) -> Any:
    """JSON's own types: Hydra's quoted strings and nested containers become plain, `inf` and `nan` become text."""
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def folder_name(arm: Mapping[str, Any]) -> str:
    """`optimizer=adam,loss=mse,batch_size=64`; `default` for an arm that overrides nothing; at most 120 bytes."""
    name = ",".join(f"{escape(key)}={escape(value)}" for key, value in arm.items()) or "default"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return f"{truncate(name, MAX_NAME_BYTES - HASH_LENGTH - 1)}~{digest}"


def truncate(text: str, size: int) -> str:
    """The beginning of a text, at most `size` bytes of it, in whole characters."""
    return text.encode()[:size].decode(errors="ignore")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(";", ":"), ensure_ascii=False)


def escape(value: Any) -> str:
    """A key or value as names hold it: percent-encoded is what a file system, shell or reader would stumble over."""
    return "".join(c if c.isalnum() or c in PLAIN_CHARACTERS else _percent_encode(c) for c in _text(value))


def _percent_encode(character: str) -> str:
    # A list's `;` comes from `_text`: a comma would read as the next key.
    return ";" if character == ";" else "".join(f"%{byte:02X}" for byte in character.encode())

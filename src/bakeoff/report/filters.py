"""Picks runs by filters, typed as on a command line: `optimizer=sgd,adam`, `seed!=0`, `status=failed`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

from bakeoff.errors import UserError, did_you_mean
from bakeoff.report.arms import as_text, natural_key
from bakeoff.report.record import Record
from bakeoff.runs.arm import to_json
from bakeoff.runs.outcome import STATUSES

DEFAULT = "-"  # as tables show a choice that a run leaves at its default
MAX_NAMED = 12


@dataclass(frozen=True)
class Filter:
    """The runs whose `key` has one of `values`; all others if `negated`."""

    text: str
    key: str
    values: tuple[Any, ...]
    negated: bool

    def matches(self, record: Record) -> bool:
        """Whether the run is picked."""
        return any(_equal(_value(record, self.key), value) for value in self.values) != self.negated


def select(records: Sequence[Record], filters: Iterable[str]) -> list[Record]:
    """The runs that match all filters; a status that no run has just picks nothing.

    Raises:
        UserError: a text is no filter, or no run has its key or one of its values.

    """
    parsed = [parse(text) for text in filters]
    for one in parsed:
        _check(one, records)
    return [record for record in records if all(one.matches(record) for one in parsed)]


def parse(text: str) -> Filter:
    """Reads one filter.

    Raises:
        UserError: it is not `key=value` or `key!=value`.

    """
    found = re.fullmatch(r"[+~]*([^=!]+)(!?)=(.*)", text, re.DOTALL)
    if found is None:
        raise UserError(f"a filter must be key=value or key!=value, got {text}")
    key, negation, values = found.groups()
    return Filter(text, key, tuple(_typed(key, values)), bool(negation))


def _typed(key: str, text: str) -> list[Any]:
    """The values, as Hydra reads them; what it cannot read is text."""
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        return [to_json(_unquoted(value)) for value in values]
    except HydraException:  # as with `name=<b>`, which a command line takes in quotes alone
        return [text]


def _unquoted(value: Any) -> Any:
    if isinstance(value, list):
        return [_unquoted(inner) for inner in value]
    return value.text if isinstance(value, QuotedString) else value


def _value(record: Record, key: str) -> Any:
    match key:
        case "seed":
            return record.seed
        case "status":
            return record.status
    return record.arm.get(key, DEFAULT)


def _equal(own: Any, wanted: Any) -> bool:
    """As typed values, so that 1e-2 is 0.01; or as they are shown."""
    numbers = (int, float)
    if isinstance(own, numbers) and isinstance(wanted, numbers) and bool not in (type(own), type(wanted)):
        return own == wanted
    return as_text(own) == as_text(wanted)


def _check(one: Filter, records: Sequence[Record]) -> None:
    known = dict.fromkeys(["seed", "status", *(key for record in records for key in record.arm)])
    if one.key not in known:
        chosen = ", ".join(known)
        longer = [key for key in known if key.endswith(f".{one.key}")]  # lr for optimizer.lr
        hint = did_you_mean(longer[0] if longer else one.key, known)
        raise UserError(f"no run has a choice {one.key}{hint}; there are {chosen}")
    values = {as_text(_value(record, one.key)): None for record in records} | dict.fromkeys(
        STATUSES if one.key == "status" else ()
    )
    for value in one.values:
        if not any(_equal(_value(record, one.key), value) for record in records) and as_text(value) not in values:
            near = did_you_mean(as_text(value), values)
            raise UserError(f"no run has {one.key}={as_text(value)}{near}; there are {_list_values(values)}")


def _list_values(values: Iterable[str]) -> str:
    ordered = sorted(values, key=natural_key)
    hidden = len(ordered) - MAX_NAMED
    named = [f"{value} (left at its default)" if value == DEFAULT else value for value in ordered[:MAX_NAMED]]
    return ", ".join(named) + (f" and {hidden} more" if hidden > 0 else "")

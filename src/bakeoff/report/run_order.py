"""Puts runs in an order that somebody asks for."""

from collections.abc import Sequence
from typing import Any

from bakeoff.errors import UserError
from bakeoff.report.arms import natural, plain
from bakeoff.report.record import Record
from bakeoff.runs import lower_is_better
from bakeoff.runs.outcome import STATUSES
from bakeoff.words import did_you_mean

KEYS = ("metric", "status", "seconds", "steps", "seed", "started")


def in_order(records: Sequence[Record], key: str, metric: str) -> list[Record]:
    """Sorted by one of `KEYS` or a choice; the metric's best value first, and what a run does not have last.

    Raises UserError for a key that no run has.
    """
    known = dict.fromkeys([*KEYS, *(choice for record in records for choice in record.arm)])
    if records and key not in known:
        raise UserError(f"cannot sort by {key}{did_you_mean(key, known)}; there are {', '.join(known)}")
    values = [(_value(record, key, metric), record) for record in records]
    found = sorted(((value, record) for value, record in values if value is not None), key=lambda pair: pair[0])
    return [record for _, record in found] + [record for value, record in values if value is None]


def _value(record: Record, key: str, metric: str) -> Any:
    match key:
        case "metric":
            final = record.final(metric)
            return final if final is None or lower_is_better(metric) else -final
        case "status":
            return STATUSES.index(record.status)
        case "seconds" | "steps" | "seed":
            return getattr(record, key)
        case "started":
            return record.started or None
    return natural(plain(record.arm[key])) if key in record.arm else None

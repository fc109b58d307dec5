"""Sorts runs by what a user asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakeoff.errors import UserError, did_you_mean
from bakeoff.report.arms import as_text, natural_key
from bakeoff.report.metric import metric_direction
from bakeoff.report.record import Record
from bakeoff.runs.metrics import Direction
from bakeoff.runs.outcome import STATUSES

KEYS = ("metric", "status", "seconds", "steps", "seed", "started")


def sort_runs(records: Sequence[Record], key: str, metric: str, direction: Direction | None = None) -> list[Record]:
    """Sorts by one of `KEYS` or a choice; the metric's best value first, and what a run does not have last.

    Raises:
        UserError: no run has the key; or it is the metric, whose direction neither the runs nor `direction` says.

    """
    known = dict.fromkeys([*KEYS, *(choice for record in records for choice in record.arm)])
    if records and key not in known:
        raise UserError(f"cannot sort by {key}{did_you_mean(key, known)}; there are {', '.join(known)}")
    if key == "metric" and any(record.final(metric) is not None for record in records):
        direction = metric_direction(records, metric, direction)
    values = [(_sort_value(record, key, metric, direction), record) for record in records]
    found = sorted(((value, record) for value, record in values if value is not None), key=lambda pair: pair[0])
    return [record for _, record in found] + [record for value, record in values if value is None]


def _sort_value(record: Record, key: str, metric: str, direction: Direction | None) -> Any:
    match key:
        case "metric":
            final = record.final(metric)
            return final if final is None or direction == "min" else -final
        case "status":
            return STATUSES.index(record.status)
        case "seconds" | "steps" | "seed":
            return getattr(record, key)
        case "started":
            return record.started or None
    return natural_key(as_text(record.arm[key])) if key in record.arm else None

"""The record of a run on disk: `outcome.json`, there from the start, written atomically and read strictly."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from bakeoff.runs.files import write_atomically
from bakeoff.runs.metrics import Direction, direction_of, worst

SCHEMA = 1
FILE_NAME = "outcome.json"
STATUSES = ("completed", "diverged", "failed", "interrupted", "running")
FINAL_STATUSES = ("completed", "diverged")  # such a run is never trained again

T = TypeVar("T")


@dataclass
class Outcome:
    """How a run ended, or that it is running. Field for field the schema of `outcome.json`; seconds are seconds.

    `metrics` maps a name to `final`, and, but for test metrics and for those whose direction is not known, `best` and
    `best_step`. `splits` says of a metric of a user's own module whether it is measured on `train`, `val` or `test`
    data, where its name does not begin with that. `metric` is what arms are ranked by, `metric_direction` (`min` or
    `max`) which values of it are better. `error`, for a bad end, holds `type`, `message`, `step` (the first bad
    optimizer step, or null) and `traceback` (or null). `host` and `process` say where it was trained last;
    `fingerprint` is what a repeated command is recognized by (`bakeoff.runs.fingerprint`), or null. `launch` names the
    command that trained it last; `assumed` says what is assumed unchanged where the run is taken for the same, or null.
    """

    arm: dict[str, Any]
    seed: int
    identity: str
    overrides: list[str]
    status: str = "running"
    metrics: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    metric: str | None = None
    metric_direction: str | None = None
    steps: int = 0
    epochs: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    device: str = ""
    threads: int = 0
    host: str = ""
    process: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    started: str = field(default_factory=lambda: utc_now())
    ended: str | None = None
    error: dict[str, Any] | None = None
    fingerprint: dict[str, Any] | None = None
    launch: str | None = None
    assumed: str | None = None
    schema: int = SCHEMA

    @classmethod
    def read(cls, folder: Path) -> Outcome | None:
        """The outcome in `folder`; None where there is none, or none that can be read."""
        try:
            return parse_outcome((folder / FILE_NAME).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def write(self, folder: Path) -> None:
        """Replaces `folder/outcome.json` in one step; numbers that are not finite become null."""
        text = json.dumps(_finite_or_none(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / FILE_NAME, text + "\n")

    def direction(self, metric: str) -> Direction:
        """Whether `metric` is to be made small or large.

        Raises:
            UserError: it is a user's own, and its direction was not stated when this run was trained.

        """
        return direction_of(metric, self.metric_direction if metric == self.metric else None)


def parse_outcome(text: str) -> Outcome:
    """Reads the text of an `outcome.json`. Every field is checked before it is used.

    Raises:
        ValueError: it is not JSON, of another schema, or a field is missing or of the wrong kind; says which.
        RecursionError: it is nested too deeply.

    """
    if not text.strip():
        raise ValueError("outcome.json is empty")
    record = json.loads(text, parse_constant=_raise_not_json)
    if not isinstance(record, dict):
        raise ValueError(f"outcome.json must hold an object, got {_excerpt(record)}")
    if _field(record, "schema", int) != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, got {record['schema']}: another version of bakeoff wrote it")
    outcome = Outcome(
        arm=_field(record, "arm", dict),
        seed=_field(record, "seed", int),
        identity=_field(record, "identity", str),
        overrides=[str(override) for override in _field(record, "overrides", list)],
        status=_field(record, "status", str),
        metrics={name: _metric(name, entry) for name, entry in _field(record, "metrics", dict).items()},
        splits={str(name): str(split) for name, split in (_optional(record, "splits", dict) or {}).items()},
        metric=_optional(record, "metric", str),
        metric_direction=_optional(record, "metric_direction", str),
        steps=_field(record, "steps", int),
        epochs=_number("epochs", record.get("epochs")),
        samples=_field(record, "samples", int),
        seconds=_number("seconds", record.get("seconds")),
        device=_optional(record, "device", str) or "",
        threads=_optional(record, "threads", int) or 0,
        host=_optional(record, "host", str) or "",
        process=_optional(record, "process", int),
        versions=_optional(record, "versions", dict) or {},
        started=_optional(record, "started", str) or "",
        ended=_optional(record, "ended", str),
        error=_optional(record, "error", dict),
        fingerprint=_optional(record, "fingerprint", dict),
        launch=_optional(record, "launch", str),
        assumed=_optional(record, "assumed", str),
    )
    if outcome.status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {outcome.status!r}")
    if outcome.metric_direction not in (None, "min", "max"):
        raise ValueError(f"metric_direction must be min or max, got {outcome.metric_direction!r}")
    return outcome


def objective(outcome: Outcome, metric: str, direction: Direction) -> float:
    """What a sweeper is given: the final value of the metric, or the worst one after a bad end."""
    value = outcome.metrics.get(metric, {}).get("final") if outcome.status == "completed" else None
    return worst(direction) if value is None else float(value)


def utc_now() -> str:
    """The present moment in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _field(record: Mapping[str, Any], name: str, kind: type[T]) -> T:
    if name not in record:
        raise ValueError(f"{name} is missing")
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = {int: "an integer", str: "a string", dict: "an object", list: "a list"}[kind]
        raise ValueError(f"{name} must be {expected}, got {_excerpt(value)}")
    return value


def _optional(record: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    return None if record.get(name) is None else _field(record, name, kind)


def _metric(name: str, entry: object) -> dict[str, float | int | None]:
    if not isinstance(entry, dict) or "final" not in entry:
        raise ValueError(f"metrics: {name} must be an object with `final`, got {_excerpt(entry)}")
    return {key: None if value is None else _number(f"metrics: {name}: {key}", value) for key, value in entry.items()}


def _number(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {_excerpt(value)}")
    if not abs(value) <= sys.float_info.max:  # also 1e999, which JSON allows and Python reads as infinity
        raise ValueError(f"{name} must be finite or null, got {_excerpt(value)}")
    return value


def _excerpt(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _raise_not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: a value that is not finite is written as null")


def _finite_or_none(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _finite_or_none(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_or_none(v) for v in value]
    return value

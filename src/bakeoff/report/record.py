"""One run, as its `outcome.json` tells it; every field is looked at before it is believed."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from bakeoff.runs.outcome import FILE_NAME, SCHEMA, STATUSES

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """One run, as its `outcome.json` tells it (`bakeoff.runs.Outcome`).

    `arm` maps override keys to typed values. `metrics` maps a name to `final` and, but for test metrics, `best` and
    `best_step`; None stands for a value that was not finite. `error` has `type`, `message`, `step` and `traceback`.
    `host` and `process` say where it is trained, or was last; `share` is the part of the budget that a running one has
    spent. `started` and `ended` are moments in UTC, ISO 8601.
    """

    path: Path
    status: str
    arm: Mapping[str, Any]
    seed: int
    identity: str
    metrics: Mapping[str, Mapping[str, float | None]]
    steps: int
    epochs: float
    samples: int
    seconds: float
    error: Mapping[str, Any] | None = None
    device: Any = None
    overrides: tuple[str, ...] = ()
    host: str = ""
    process: int | None = None
    share: float | None = None
    started: str = ""
    ended: str | None = None

    @property
    def folder(self) -> str:
        """Name of the arm's folder, which tells arms apart."""
        return self.path.parent.name

    def final(self, metric: str) -> float | None:
        """The metric's final value; None when the run has none or it was not finite."""
        return self.metrics.get(metric, {}).get("final")


def read_record(run: Path) -> Record:
    """Read the `outcome.json` of one run folder.

    Raises OSError when there is no `outcome.json` or it cannot be read, ValueError when it is not JSON or of another
    schema, or when a field is missing or of the wrong kind.
    """
    text = (run / FILE_NAME).read_text("utf-8")
    if not text.strip():
        raise ValueError("outcome.json is empty")
    outcome = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(outcome, dict):
        raise ValueError(f"outcome.json must hold an object, got {_excerpt(outcome)}")
    if _field(outcome, "schema", int) != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, got {outcome['schema']}: another version of bakeoff wrote it")
    record = Record(
        path=run,
        status=_field(outcome, "status", str),
        arm=_field(outcome, "arm", dict),
        seed=_field(outcome, "seed", int),
        identity=_field(outcome, "identity", str),
        metrics={name: _metric(name, entry) for name, entry in _field(outcome, "metrics", dict).items()},
        steps=_field(outcome, "steps", int),
        epochs=_number("epochs", outcome.get("epochs")),
        samples=_field(outcome, "samples", int),
        seconds=_number("seconds", outcome.get("seconds")),
        error=_optional(outcome, "error", dict),
        device=outcome.get("device"),
        overrides=tuple(map(str, _field(outcome, "overrides", list))),
        host=_optional(outcome, "host", str) or "",
        process=_optional(outcome, "process", int),
        started=_optional(outcome, "started", str) or "",
        ended=_optional(outcome, "ended", str),
    )
    if record.status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {record.status!r}")
    # a copied or renamed folder: two runs of one seed in an arm would break the pairing
    if run.name != f"seed={record.seed}":
        raise ValueError(f"seed must agree with the folder's name, got {record.seed}: was the folder renamed?")
    return record


def _field(outcome: Mapping[str, Any], name: str, kind: type[T]) -> T:
    if name not in outcome:
        raise ValueError(f"{name} is missing")
    value = outcome[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = {int: "an integer", str: "a string", dict: "an object", list: "a list"}[kind]
        raise ValueError(f"{name} must be {wanted}, got {_excerpt(value)}")
    return value


def _optional(outcome: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    return None if outcome.get(name) is None else _field(outcome, name, kind)


def _metric(name: str, entry: object) -> dict[str, float | None]:
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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: a value that is not finite is written as null")

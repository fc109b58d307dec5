"""Read the `outcome.json` of every run under a sweep folder.

Nothing is dropped silently: a run folder yields a `Record`, or a `Problem` that says why it does not.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from bakeoff.errors import UserError
from bakeoff.runs.outcome import SCHEMA, STATUSES

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """One run, as its `outcome.json` tells it (`bakeoff.runs.Outcome`).

    `arm` maps override keys to typed values. `metrics` maps a name to `final` and, but for test metrics, `best` and
    `best_step`; None stands for a value that was not finite. `error` has `type`, `message`, `step` and `traceback`.
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

    @property
    def folder(self) -> str:
        """Name of the arm's folder, which tells arms apart."""
        return self.path.parent.name

    def final(self, metric: str) -> float | None:
        """The metric's final value; None when the run has none or it was not finite."""
        return self.metrics.get(metric, {}).get("final")


@dataclass(frozen=True)
class Problem:
    """A run folder that could not be read."""

    path: Path
    reason: str

    @property
    def folder(self) -> str:
        """Name of the arm's folder."""
        return self.path.parent.name


@dataclass(frozen=True)
class Sweep:
    """What a sweep folder holds, ordered by arm folder, then seed; `policy` is the text of its policy.txt."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    policy: str | None = None


def read_sweep(folder: Path) -> Sweep:
    """Read every `<arm>/seed=<n>/` under `folder`; raise UserError when that is not a folder."""
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    return sweep_of([read_run(run) for run in run_folders(folder)], policy_of(folder))


def sweep_of(read: Iterable[Record | Problem], policy: str | None) -> Sweep:
    """Puts in order what was read."""
    read = list(read)
    records = sorted((r for r in read if isinstance(r, Record)), key=lambda r: (r.folder, r.seed))
    return Sweep(tuple(records), tuple(r for r in read if isinstance(r, Problem)), policy)


def policy_of(folder: Path) -> str | None:
    """How the sweep was set up, in the user's words, where they said it."""
    policy = folder / "policy.txt"
    return (policy.read_text("utf-8", errors="replace").strip() or None) if policy.is_file() else None


def read_run(run: Path) -> Record | Problem:
    """The record in a run folder, or why there is none."""
    try:
        return read_record(run)
    # RecursionError: a file of nothing but brackets
    except (OSError, ValueError, RecursionError) as error:
        return Problem(run, _reason(error))


def run_folders(folder: Path) -> list[Path]:
    """The folders `<arm>/seed=<n>/` under `folder`, with or without an outcome."""
    return sorted(path for path in folder.glob("*/seed=*") if path.is_dir())


def read_record(run: Path) -> Record:
    """Read one run folder.

    Raises OSError when there is no `outcome.json` or it cannot be read, ValueError when it is not JSON or of another
    schema, or when a field is missing or of the wrong kind.
    """
    text = (run / "outcome.json").read_text("utf-8")
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
        error=None if outcome.get("error") is None else _field(outcome, "error", dict),
        device=outcome.get("device"),
        overrides=tuple(map(str, _field(outcome, "overrides", list))),
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


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no outcome.json"
        case json.JSONDecodeError():
            return f"outcome.json is not valid JSON, or cut short: {error}"
        case UnicodeDecodeError():
            return f"outcome.json is not UTF-8: {error.reason} at byte {error.start}"
        case RecursionError():
            return "outcome.json is nested too deeply"
        case OSError():
            return f"outcome.json cannot be read: {error.strerror}"
    return str(error)

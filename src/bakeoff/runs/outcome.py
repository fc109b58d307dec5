"""The record of a run on disk: `outcome.json`, there from the start, written so that nobody reads half of it."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = 1
FILE_NAME = "outcome.json"
STATUSES = ("completed", "diverged", "failed", "interrupted", "running")
ENDED = ("completed", "diverged")  # for good: such a run is not done again
LOWER_IS_BETTER = frozenset({"loss", "nll", "ece", "rmse", "mae"})


def lower_is_better(metric: str) -> bool:
    """Whether a metric such as `val/rmse` is to be made small."""
    return metric.rsplit("/", 1)[-1] in LOWER_IS_BETTER


@dataclass
class Outcome:
    """How a run ended, or that it is running. Field for field the schema of `outcome.json`; seconds are seconds.

    `metrics` maps a name to `final`, and, but for test metrics, `best` and `best_step`. `error`, for a bad end, holds
    `type`, `message`, `step` (the first bad optimizer step, or null) and `traceback` (or null). `host` and `process`
    say where it was trained last; `request` is what a repeated command is known by (`bakeoff.launch.request`), or null.
    """

    arm: dict[str, Any]
    seed: int
    identity: str
    overrides: list[str]
    status: str = "running"
    metrics: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    steps: int = 0
    epochs: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    device: str = ""
    threads: int = 0
    host: str = ""
    process: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    started: str = field(default_factory=lambda: now())
    ended: str | None = None
    error: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    schema: int = SCHEMA

    @classmethod
    def read(cls, folder: Path) -> Outcome | None:
        """The run's record as it stands in `folder`; None where there is none, or none that can be read."""
        try:
            record = json.loads((folder / FILE_NAME).read_text("utf-8"))
            known = {field.name for field in fields(cls)}
            found = cls(**{key: value for key, value in record.items() if key in known})
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        return found if found.schema == SCHEMA and found.status in STATUSES else None

    def write(self, folder: Path) -> None:
        """Replaces `folder/outcome.json` in one step; numbers that are not finite become null."""
        text = json.dumps(_finite(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(folder / FILE_NAME, text + "\n")


def objective(outcome: Outcome, metric: str) -> float:
    """What a sweeper is given: the final value of the metric, or the worst one after a bad end."""
    value = outcome.metrics.get(metric, {}).get("final") if outcome.status == "completed" else None
    worst = float("inf") if lower_is_better(metric) else float("-inf")
    return worst if value is None else float(value)


def now() -> str:
    """The present moment in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_whole(path: Path, text: str) -> None:
    """Writes beside, flushes to the disk, renames: a reader sees the old file or the new one, never a part."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)  # mkstemp's own mode hides the record from everybody else
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value

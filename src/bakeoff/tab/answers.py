"""What the page asks for, as plain data: from a snapshot of a sweep to what becomes JSON. No HTTP here.

The page's own words: an arm is named by its folder, a run by its path below the logdir, as in TensorBoard.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

import numpy as np

from bakeoff.errors import UserError
from bakeoff.report.arms import Arm, common_choices, differing_keys, natural, plain
from bakeoff.report.bands import AXES, METHOD, along, band
from bakeoff.report.curves import Curve
from bakeoff.report.ranking import LOST, METRIC, rank_arms, usual_metric
from bakeoff.report.records import Problem, Record
from bakeoff.runs import lower_is_better
from bakeoff.runs.outcome import STATUSES
from bakeoff.stats import mean_interval
from bakeoff.tab.sweeps import Reader, Snapshot

Answer = dict[str, Any]
MOST_RUNS = 60  # with their configuration; a page that lists more is read by nobody
SPENT = ("steps", "samples", "seconds")
NOT_CURVES = ("axis/", "final/", "best/", "band/")
HOW_INTERVALS = (
    "mean and 95% Student t interval over the completed runs of an arm; '≈' marks arms whose difference from the best, "
    "paired by seed, has a 95% interval that includes 0, not corrected for multiple comparisons; diverged and failed "
    "runs are counted, never averaged in, and their arms have no rank"
)


def sweep(snapshot: Snapshot, reader: Reader, name: str, title: str) -> Answer:
    """The choices, arms and runs of a sweep, and what was lost."""
    arms = snapshot.arms
    overrides = [arm.overrides for arm in arms]
    choices = [_choice(key, overrides) for key in differing_keys(overrides)]
    types = {choice["key"]: choice["type"] for choice in choices}
    return {
        "sweep": name,
        "title": title,
        "version": snapshot.version,
        "metrics": _metrics(snapshot, reader),
        "default_metric": usual_metric(snapshot.sweep.records, METRIC),
        "choices": choices,
        "common": [{"key": key, "value": value} for key, value in common_choices(overrides).items()],
        "policy": snapshot.sweep.policy,
        "arms": [_arm(arm, types, name) for arm in arms],
        "problems": [
            {"run": _run_name(problem, name), "reason": problem.reason} for problem in snapshot.sweep.problems
        ],
    }


def _choice(key: str, overrides: Sequence[Any]) -> Answer:
    values = [arm[key] for arm in overrides if key in arm]
    kinds = {_kind(value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else "text"
    return {
        "key": key,
        "type": kind,
        "values": sorted({_value(v, kind) for v in values}, key=None if kind != "text" else natural),
    }


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _value(value: Any, kind: str) -> Any:
    """Text and numbers never share a choice: where some values are text, all are."""
    return plain(value) if kind == "text" else value


def _arm(arm: Arm, types: dict[str, str], sweep_name: str) -> Answer:
    choices = {key: _value(value, types[key]) for key, value in arm.overrides.items() if key in types}
    return {
        "id": arm.folder,
        "name": arm.name,
        "choices": choices,
        "runs": [_run(record, sweep_name) for record in arm.records],
    }


def _run(record: Record, sweep_name: str) -> Answer:
    error = record.error and {key: record.error.get(key) for key in ("type", "message", "step")}
    return {
        "seed": record.seed,
        "run": _run_name(record, sweep_name),
        "status": record.status,
        "steps": record.steps,
        "epochs": record.epochs,
        "samples": record.samples,
        "seconds": record.seconds,
        "metrics": record.metrics,
        "error": error,
    }


def _run_name(run: Record | Problem, sweep_name: str) -> str:
    own = f"{run.path.parent.name}/{run.path.name}"
    return own if sweep_name == "." else f"{sweep_name}/{own}"


def _metrics(snapshot: Snapshot, reader: Reader) -> list[Answer]:
    """Those of the records, in their order there, then the curves that have no final value, such as `grad/norm`."""
    entries: dict[str, set[str]] = {}
    for record in snapshot.sweep.records:
        for metric, values in record.metrics.items():
            entries.setdefault(metric, set()).update(values)
    found: list[Answer] = [_metric(metric, "best" in values, True) for metric, values in entries.items()]
    return found + [_metric(tag, False, False) for tag in _tags(snapshot, reader) if tag not in entries]


def _metric(name: str, best: bool, summary: bool) -> Answer:
    return {
        "name": name,
        "lower_is_better": lower_is_better(name),
        "best": best,
        "summary": summary,
        "curve": not name.startswith("test/"),
        "rank": summary and name.startswith("val/"),
    }


def _tags(snapshot: Snapshot, reader: Reader) -> list[str]:
    """The curves of one run, taken for those of all: to read a thousand for some names would take long."""
    ended = [record for record in snapshot.sweep.records if record.status == "completed"]
    for record in [*ended[:1], *snapshot.sweep.records[:1]]:
        tags = [tag for tag in reader.curves(record.path) if not tag.startswith(NOT_CURVES)]
        if tags:
            return tags
    return []


def table(snapshot: Snapshot, metric: str, value: str) -> Answer:
    """One row an arm: the mean of its final or best values, its interval, and how sure the ranking is.

    Raises:
        UserError: no run has this metric, or it is neither final nor best that is asked for.

    """
    if value not in ("final", "best"):
        raise UserError(f"value must be final or best, got {value}")
    known = {name for record in snapshot.sweep.records for name in record.metrics}
    if metric not in known:
        raise UserError(f"no run has a {value} value of {metric}")
    lost = Counter(problem.folder for problem in snapshot.sweep.problems)
    rows = {arm.folder: _row(arm, lost[arm.folder], metric, value) for arm in snapshot.arms}
    if value == "final" and metric.startswith("val/"):
        for ranked in rank_arms(snapshot.sweep.records, snapshot.sweep.problems, metric=metric):
            call = {"rank": ranked.rank, "too_close": ranked.too_close, "shared_seeds": ranked.shared_seeds}
            rows[ranked.arm.folder] |= call
    return {
        "metric": metric,
        "value": value,
        "lower_is_better": lower_is_better(metric),
        "method": HOW_INTERVALS,
        "rows": list(rows.values()),
    }


def _row(arm: Arm, lost: int, metric: str, value: str) -> Answer:
    completed = [record for record in arm.records if record.status == "completed"]
    numbers = [n for record in completed if (n := record.metrics.get(metric, {}).get(value)) is not None]
    estimate = mean_interval(numbers) if numbers else None
    counts = Counter({LOST: lost}) + Counter(record.status for record in arm.records)
    return {
        "arm": arm.folder,
        "mean": estimate and estimate.mean,
        "low": estimate and estimate.low,
        "high": estimate and estimate.high,
        "n": len(numbers),
        "best": (min if lower_is_better(metric) else max)(numbers) if numbers else None,
        "counts": {status: counts[status] for status in (*STATUSES, LOST)},
        **{
            key: mean(getattr(r, key) for r in completed) if completed else None
            for key in ("steps", "samples", "seconds")
        },
        "rank": None,
        "too_close": False,
        "shared_seeds": 0,
    }


def curves(snapshot: Snapshot, reader: Reader, metric: str, axis: str) -> Answer:
    """The band of every arm over its completed runs; an arm without one is missing, and says why.

    Raises:
        UserError: there is no such axis.

    """
    _check_axis(axis)
    arms, missing = [], []
    for arm in snapshot.arms:
        drawn = _band(arm, reader, metric, axis)
        if isinstance(drawn, str):
            missing.append({"arm": arm.folder, "reason": drawn})
        else:
            arms.append(drawn)
    return {"metric": metric, "axis": axis, "method": METHOD, "arms": arms, "missing": missing}


def _band(arm: Arm, reader: Reader, metric: str, axis: str) -> Answer | str:
    completed = [record for record in arm.records if record.status == "completed"]
    if not completed:
        counts = Counter(record.status for record in arm.records)
        return f"no completed run ({', '.join(f'{n} {status}' for status, n in sorted(counts.items()))})"
    found = [_placed(reader.curves(record.path), metric, axis) for record in completed]
    placed = [curve for curve in found if not isinstance(curve, str)]
    if not placed:
        return next(reason for reason in found if isinstance(reason, str))
    drawn = band([curve for curve, _ in placed], [x for _, x in placed])
    numbers = {name: _plain(getattr(drawn, name)) for name in ("x", "mean", "low", "high")}
    return {"arm": arm.folder, **numbers, "n": drawn.n.tolist()}


def _placed(curves: dict[str, Curve], metric: str, axis: str) -> tuple[Curve, np.ndarray] | str:
    if metric not in curves:
        return f"no curve of {metric} in its event files"
    x = along(curves, metric, axis)
    return f"its event files do not say the {axis}" if x is None else (curves[metric], x)


def seeds(snapshot: Snapshot, reader: Reader, metric: str, axis: str, arm: str | None, sweep_name: str) -> Answer:
    """The curve of every single run, however it ended, or of those of one arm.

    Raises:
        UserError: there is no such axis.

    """
    _check_axis(axis)
    runs, missing = [], []
    for record in snapshot.sweep.records:
        if arm is not None and record.folder != arm:
            continue
        name, placed = _run_name(record, sweep_name), _placed(reader.curves(record.path), metric, axis)
        if isinstance(placed, str):
            missing.append({"run": name, "reason": placed})
            continue
        curve, x = placed
        points = {"x": _plain(x), "y": _plain(curve.values)}
        runs.append({"arm": record.folder, "seed": record.seed, "run": name, "status": record.status, **points})
    return {"runs": runs, "missing": missing}


def runs(snapshot: Snapshot, arms: Iterable[str], sweep_name: str) -> Answer:
    """The runs of some arms, each with its configuration and the command that repeats it."""
    wanted = set(arms)
    records = [record for record in snapshot.sweep.records if record.folder in wanted]
    found = [_detail(record, sweep_name) for record in records[:MOST_RUNS]]
    return {"runs": found, "truncated": len(records) > MOST_RUNS}


def _detail(record: Record, sweep_name: str) -> Answer:
    config = record.path / ".hydra" / "config.yaml"
    return {
        "arm": record.folder,
        "seed": record.seed,
        "run": _run_name(record, sweep_name),
        "status": record.status,
        "command": shlex.join(["bakeoff", *record.overrides]),
        "config": config.read_text("utf-8", errors="replace") if config.is_file() else None,
        "settings": {},
        "error": record.error,
    }


def _check_axis(axis: str) -> None:
    if axis not in AXES:
        raise UserError(f"axis must be one of {', '.join(AXES)}, got {axis}")


def _plain(values: np.ndarray) -> list[float | None]:
    """JSON has no word for what is not finite."""
    finite: list[float | None] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)):
        finite[index] = None
    return finite

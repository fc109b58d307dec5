"""What a sweep's runs measured, as JSON values for a page: the table of arms, bands over seeds, single seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from statistics import mean

import numpy as np

from bakeoff.errors import UserError
from bakeoff.report.arms import Arm
from bakeoff.report.bands import AXES, METHOD, axis_values, band
from bakeoff.report.curves import Curve
from bakeoff.report.metric import find_direction, find_split
from bakeoff.report.ranking import UNREADABLE, rank_arms
from bakeoff.report.reader import Snapshot, SweepReader
from bakeoff.report.record import Record
from bakeoff.report.sweep_json import Json, run_name
from bakeoff.runs.metrics import Direction
from bakeoff.runs.outcome import STATUSES
from bakeoff.stats import mean_interval

INTERVAL_METHOD = "mean and 95% Student t interval over the completed runs of an arm"
RANK_METHOD = (
    "≈ may be the best as well: no arm is sure to be better, at 95% for all pairs of arms at once, paired by seed; "
    "diverged and failed runs are counted, never averaged in, and their arms have no rank"
)


def table_json(snapshot: Snapshot, metric: str, value: str) -> Json:
    """One row for each arm: the mean of its final or best values, its interval, and how sure the ranking is.

    Only final values of validation metrics rank, and only where it is known which values are better.

    Raises:
        UserError: no run has this metric, or `value` is neither `final` nor `best`.

    """
    if value not in ("final", "best"):
        raise UserError(f"value must be final or best, got {value}")
    records, unreadable = snapshot.sweep.records, snapshot.sweep.unreadable
    if not any(metric in record.metrics for record in records):
        raise UserError(f"no run has a {value} value of {metric}")
    direction = find_direction(records, metric)
    missing = Counter(run.folder for run in unreadable)
    rows = {arm.folder: _row(arm, missing[arm.folder], metric, value, direction) for arm in snapshot.arms}
    if value == "final" and find_split(records, metric) == "val" and direction is not None:
        for row in rank_arms(records, unreadable, metric=metric):
            rank = {"rank": row.rank, "too_close": row.too_close, "shared_seeds": row.shared_seeds}
            rows[row.arm.folder] |= rank
    return {
        "metric": metric,
        "value": value,
        "direction": direction,
        "method": INTERVAL_METHOD,
        "rank_method": RANK_METHOD,
        "rows": list(rows.values()),
    }


def _row(arm: Arm, unreadable: int, metric: str, value: str, direction: Direction | None) -> Json:
    completed = [record for record in arm.records if record.status == "completed"]
    numbers = [n for record in completed if (n := record.metrics.get(metric, {}).get(value)) is not None]
    estimate = mean_interval(numbers) if numbers else None
    counts = Counter({UNREADABLE: unreadable}) + Counter(record.status for record in arm.records)
    return {
        "arm": arm.folder,
        "mean": estimate and estimate.mean,
        "low": estimate and estimate.low,
        "high": estimate and estimate.high,
        "n": len(numbers),
        "best": _best(numbers, direction),
        "counts": {status: counts[status] for status in (*STATUSES, UNREADABLE)},
        **{
            key: mean(getattr(record, key) for record in completed) if completed else None
            for key in ("steps", "samples", "seconds")
        },
        "rank": None,
        "too_close": False,
        "shared_seeds": 0,
    }


def _best(numbers: Collection[float], direction: Direction | None) -> float | None:
    if direction is None or not numbers:
        return None
    return min(numbers) if direction == "min" else max(numbers)


def curves_json(snapshot: Snapshot, reader: SweepReader, metric: str, axis: str) -> Json:
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
            missing.extend(_incomplete(arm, reader, metric))
    return {"metric": metric, "axis": axis, "method": METHOD, "arms": arms, "missing": missing}


def _band(arm: Arm, reader: SweepReader, metric: str, axis: str) -> Json | str:
    """The band, or why there is none."""
    completed = [record for record in arm.records if record.status == "completed"]
    if not completed:
        counts = Counter(record.status for record in arm.records)
        return f"no completed run ({', '.join(f'{n} {status}' for status, n in sorted(counts.items()))})"
    found = [_curve_on_axis(reader.curves(record.path), metric, axis) for record in completed]
    curves = [curve for curve in found if not isinstance(curve, str)]
    if not curves:
        return next(reason for reason in found if isinstance(reason, str))
    drawn = band([curve for curve, _ in curves], [x for _, x in curves])
    numbers = {name: _finite_or_none(getattr(drawn, name)) for name in ("x", "mean", "low", "high")}
    return {"arm": arm.folder, **numbers, "n": drawn.n.tolist()}


def _incomplete(arm: Arm, reader: SweepReader, metric: str) -> list[Json]:
    """Completed runs whose event files were cut short: the mean continues without them, and says so."""
    reasons = [(record, _cut_short(record, reader, metric)) for record in arm.records if record.status == "completed"]
    return [{"run": run_name(record, "."), "reason": reason} for record, reason in reasons if reason]


def _cut_short(record: Record, reader: SweepReader, metric: str) -> str | None:
    if metric != "train/loss" and find_split([record], metric) != "val":  # others need no point at the last step
        return None
    curve = reader.curves(record.path).get(metric)
    last = int(curve.steps[-1]) if curve is not None and len(curve.steps) else 0
    return f"its event files end at step {last} of {record.steps}" if last < record.steps else None


def _curve_on_axis(curves: dict[str, Curve], metric: str, axis: str) -> tuple[Curve, np.ndarray] | str:
    """The curve and the axis values of its points, or why there are none."""
    if metric not in curves:
        return f"no curve of {metric} in its event files"
    x = axis_values(curves, metric, axis)
    return f"its event files do not say the {axis}" if x is None else (curves[metric], x)


def seeds_json(
    snapshot: Snapshot, reader: SweepReader, metric: str, axis: str, arms: Collection[str], sweep_name: str
) -> Json:
    """The curve of every single run, however it ended, or of those of some arms.

    Raises:
        UserError: there is no such axis.

    """
    _check_axis(axis)
    runs, missing = [], []
    for record in snapshot.sweep.records:
        if arms and record.folder not in arms:
            continue
        name, found = run_name(record, sweep_name), _curve_on_axis(reader.curves(record.path), metric, axis)
        if isinstance(found, str):
            missing.append({"run": name, "reason": found})
            continue
        curve, x = found
        points = {"x": _finite_or_none(x), "y": _finite_or_none(curve.values)}
        runs.append({"arm": record.folder, "seed": record.seed, "run": name, "status": record.status, **points})
    return {"runs": runs, "missing": missing}


def _check_axis(axis: str) -> None:
    if axis not in AXES:
        raise UserError(f"axis must be one of {', '.join(AXES)}, got {axis}")


def _finite_or_none(values: np.ndarray) -> list[float | None]:
    """JSON cannot hold what is not finite."""
    numbers: list[float | None] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)):
        numbers[index] = None
    return numbers

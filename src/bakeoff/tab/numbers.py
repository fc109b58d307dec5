"""What a sweep's runs measured, as plain data: the table of arms, bands over seeds, single seeds. No HTTP here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from statistics import mean

import numpy as np

from bakeoff.errors import UserError
from bakeoff.report.arms import Arm
from bakeoff.report.bands import AXES, METHOD, along, band
from bakeoff.report.curves import Curve
from bakeoff.report.ranking import LOST, rank_arms
from bakeoff.runs import lower_is_better
from bakeoff.runs.outcome import STATUSES
from bakeoff.stats import mean_interval
from bakeoff.tab.about import Answer, run_name
from bakeoff.tab.sweeps import Reader, Snapshot

SPENT = ("steps", "samples", "seconds")
HOW_INTERVALS = "mean and 95% Student t interval over the completed runs of an arm"
HOW_CALLS = (
    "≈ too close to call: the difference from the best arm, paired by seed, has a 95% interval that includes 0 (not "
    "corrected for multiple comparisons); diverged and failed runs are counted, never averaged in, and their arms have "
    "no rank"
)


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
        "calls": HOW_CALLS,
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
            missing.extend(_incomplete(arm, reader, metric))
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


def _incomplete(arm: Arm, reader: Reader, metric: str) -> list[Answer]:
    """Completed runs whose event files were cut short: the mean goes on without them, and says so."""
    found = []
    for record in arm.records:
        curve = reader.curves(record.path).get(metric)
        last = int(curve.steps[-1]) if curve is not None and len(curve.steps) else 0
        # a completed run has these at its last step; other curves are looked at now and then
        if record.status == "completed" and metric.startswith(("train/loss", "val/")) and last < record.steps:
            reason = f"its event files end at step {last} of {record.steps}"
            found.append({"run": run_name(record, "."), "reason": reason})
    return found


def _placed(curves: dict[str, Curve], metric: str, axis: str) -> tuple[Curve, np.ndarray] | str:
    if metric not in curves:
        return f"no curve of {metric} in its event files"
    x = along(curves, metric, axis)
    return f"its event files do not say the {axis}" if x is None else (curves[metric], x)


def seeds(snapshot: Snapshot, reader: Reader, metric: str, axis: str, arms: Collection[str], sweep_name: str) -> Answer:
    """The curve of every single run, however it ended, or of those of some arms.

    Raises:
        UserError: there is no such axis.

    """
    _check_axis(axis)
    runs, missing = [], []
    for record in snapshot.sweep.records:
        if arms and record.folder not in arms:
            continue
        name, placed = run_name(record, sweep_name), _placed(reader.curves(record.path), metric, axis)
        if isinstance(placed, str):
            missing.append({"run": name, "reason": placed})
            continue
        curve, x = placed
        points = {"x": _plain(x), "y": _plain(curve.values)}
        runs.append({"arm": record.folder, "seed": record.seed, "run": name, "status": record.status, **points})
    return {"runs": runs, "missing": missing}


def _check_axis(axis: str) -> None:
    if axis not in AXES:
        raise UserError(f"axis must be one of {', '.join(AXES)}, got {axis}")


def _plain(values: np.ndarray) -> list[float | None]:
    """JSON has no word for what is not finite."""
    finite: list[float | None] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)):
        finite[index] = None
    return finite

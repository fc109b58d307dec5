"""Mean curves with bands over the seeds of an arm, against any of four axes.

Runs are joined where they lie on the axis: at 500 steps, or at 10 seconds. A run takes part between its first and its
last point; where it has no point of its own, as mostly in seconds, its value is interpolated linearly. A point that is
not finite takes no part. So a run that stopped early is counted (`n`) as far as it went, and never averaged in as a
number after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bakeoff.report.arms import Arm
from bakeoff.report.curves import Curve, read_curves
from bakeoff.stats import bootstrap_interval

AXES = ("steps", "samples", "epochs", "seconds")
METHOD = (
    "mean over the completed runs of an arm, and a 95% percentile bootstrap band of that mean (exact up to 6 seeds; "
    "with 3 seeds it is their range)"
)


class Band(NamedTuple):
    """Columns of one length: `x`, `mean`, `low`, `high` (float64; NaN where fewer than 2 runs take part), `n` (int)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def arm_curves(arm: Arm) -> dict[str, Curve]:
    """Tag -> mean curve against optimizer steps over the completed runs of an arm that have it; empty when none has."""
    runs = [read_curves(record.path) for record in arm.records if record.status == "completed"]
    tags = sorted({tag for run in runs for tag in run})
    return {tag: _mean_curve([run[tag] for run in runs if tag in run]) for tag in tags}


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    drawn = band(curves, [curve.steps.astype(np.float64) for curve in curves])
    return Curve(drawn.x.astype(np.int64), drawn.mean)


def axis_values(curves: Mapping[str, Curve], tag: str, axis: str) -> np.ndarray | None:
    """The values on an axis of the points of a curve; None when the run did not record that axis.

    Between two points of the axis it is interpolated: exact for samples and epochs, since the axis has a point wherever
    the curve has one.
    """
    steps = curves[tag].steps
    if axis == "steps":
        return steps.astype(np.float64)
    known = curves.get(f"axis/{axis}")
    return None if known is None or not len(known.steps) else np.interp(steps, known.steps, known.values)


def band(curves: Sequence[Curve], positions: Sequence[np.ndarray]) -> Band:
    """The band over `curves`, one a seed, whose points are at `positions`, rising, on the axis.

    Where every seed has positions of its own, about as many points are given as one seed has.

    Raises:
        ValueError: there are no curves.

    """
    if not curves:
        raise ValueError("curves must hold at least 1 curve, got none")
    x = _common_axis(positions)
    values = np.stack([_interpolate(x, own, curve.values) for curve, own in zip(curves, positions, strict=True)])
    present = np.isfinite(values)
    n = present.sum(axis=0)
    some = n > 0
    x, values, present, n = x[some], values[:, some], present[:, some], n[some]
    low, high = _intervals(values, present)
    return Band(x, np.where(present, values, 0).sum(axis=0) / n, low, high, n)


def _common_axis(positions: Sequence[np.ndarray]) -> np.ndarray:
    """The positions of all, thinned out to about as many as one has: the first and the last always among them."""
    if all(np.array_equal(positions[0], own) for own in positions):
        return positions[0]
    union = np.unique(np.concatenate(positions))
    count = min(len(union), max(len(own) for own in positions))
    return union[np.unique(np.linspace(0, len(union) - 1, count).round().astype(np.int64))]


def _interpolate(x: np.ndarray, own: np.ndarray, values: np.ndarray) -> np.ndarray:
    if x is own:
        return values
    return np.interp(x, own, values, left=np.nan, right=np.nan) if len(own) else np.full(len(x), np.nan)


def _intervals(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One bootstrap for each set of runs that take part together: mostly there is one."""
    if present.all() and len(values) > 1:
        return bootstrap_interval(values)
    low, high = np.full((2, values.shape[1]), np.nan)
    for runs in np.unique(present, axis=1).T:
        if runs.sum() > 1:
            points = (present == runs[:, None]).all(axis=0)
            low[points], high[points] = bootstrap_interval(values[np.ix_(runs, points)])
    return low, high

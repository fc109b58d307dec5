"""Writes the aggregate run of an arm: mean and band over its seeds, for every reader of event files.

It is in the arm's folder, above the runs: below one of them, TensorBoard would take it for a part of that session.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.overview.axes import AXES, Axis, band_tag
from bakeoff.overview.rewrite import replace_events
from bakeoff.report.arms import Arm
from bakeoff.report.bands import METHOD, Band, axis_values, band
from bakeoff.report.curves import Curve, read_curves
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.summaries import text

MAIN_CURVES = ("train/loss", "val/")


def write_bands(arm: Arm) -> None:
    """Replaces the event file in the arm's folder by one with the bands of all main curves over the completed runs.

    Main curves are `train/loss` and the validation metrics.
    """
    runs = [read_curves(record.path) for record in arm.records if record.status == "completed"]
    metrics = dict.fromkeys(tag for run in runs for tag in run if tag.startswith(MAIN_CURVES))
    with replace_events(arm.records[0].path.parent) as file:
        file.summary(text("seeds", _seeds(arm)))
        for metric in metrics:
            for axis in AXES:
                _write(file, metric, axis, runs)


def _seeds(arm: Arm) -> str:
    counts = Counter(record.status for record in arm.records)
    return f"{', '.join(f'{n} {status}' for status, n in sorted(counts.items()))}. Bands: {METHOD}."


def _write(file: EventFile, metric: str, axis: Axis, runs: Sequence[Mapping[str, Curve]]) -> None:
    curves = [(run[metric], axis_values(run, metric, axis.name)) for run in runs if metric in run]
    known = [(curve, x) for curve, x in curves if x is not None]
    if known:
        _write_band(file, metric, axis, band([curve for curve, _ in known], [x for _, x in known]))


def _write_band(file: EventFile, metric: str, axis: Axis, drawn: Band) -> None:
    tags = [band_tag(metric, axis, part) for part in ("mean", "low", "high", "seeds")]
    steps = np.rint(drawn.x / axis.units).astype(np.int64)
    for step, *values in zip(steps.tolist(), drawn.mean, drawn.low, drawn.high, drawn.n, strict=True):
        file.scalars({tag: float(v) for tag, v in zip(tags, values, strict=True) if math.isfinite(v)}, step)

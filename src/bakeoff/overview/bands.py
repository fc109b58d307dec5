"""Writes the aggregate run of an arm: mean and band over its seeds, for every reader of event files.

It is in the arm's folder, above the runs: below one of them, TensorBoard would take it for a part of that session.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bakeoff.overview.axes import AXES, Axis, band_tag
from bakeoff.overview.rewrite import replace_events, written_state
from bakeoff.overview.state import arm_state
from bakeoff.report.arms import Arm
from bakeoff.report.bands import METHOD, Band, axis_values, band
from bakeoff.report.curves import Curve, read_curves
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.summaries import text

MAIN_CURVES = ("train/loss", "val/")
NO_RUNS = "0" * 64  # in place of the state of an arm


def write_bands(arm: Arm) -> None:
    """Replaces the event file in the arm's folder by one with the bands of all main curves over the completed runs.

    Main curves are `train/loss`, the validation metrics, and what a user's own module logs.
    """
    state = arm_state(arm)
    runs = [read_curves(record.path) for record in arm.records if record.status == "completed"]
    of_own_modules = {name for record in arm.records for name in record.splits}
    metrics = dict.fromkeys(tag for run in runs for tag in run if tag.startswith(MAIN_CURVES) or tag in of_own_modules)
    with replace_events(arm.records[0].path.parent, state) as file:
        file.summary(text("seeds", _seeds(arm)))
        for metric in metrics:
            for axis in AXES:
                _write(file, metric, axis, runs)


def bands_are_current(arm: Arm) -> bool:
    """Whether the bands of an arm were made from its runs as they are now."""
    return written_state(arm.records[0].path.parent) == arm_state(arm)


def clear_bands(folder: Path) -> None:
    """Replaces the event file in the folder of an arm of which no run can be read any more."""
    with replace_events(folder, NO_RUNS) as file:
        file.summary(text("seeds", "No run of this arm can be read."))


def bands_are_cleared(folder: Path) -> bool:
    """Whether `clear_bands` was the last to write there."""
    return written_state(folder) == NO_RUNS


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

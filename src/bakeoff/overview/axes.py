"""The four axes of a band in plain TensorBoard, whose x-axis is always a whole number called step."""

from __future__ import annotations

from typing import NamedTuple


class Axis(NamedTuple):
    """`name` as in `report.bands.AXES`; `units` of it make one step of TensorBoard's; `group` begins the tags."""

    name: str
    title: str
    units: float
    group: str


AXES = (
    Axis("steps", "optimizer steps", 1, "band"),
    Axis("samples", "samples seen", 1, "band_by_samples"),
    Axis("epochs", "thousandths of an epoch", 1e-3, "band_by_milliepochs"),
    Axis("seconds", "milliseconds of training", 1e-3, "band_by_milliseconds"),
)


def band_tag(metric: str, axis: Axis, part: str) -> str:
    """`band/val/accuracy/mean`; parts are mean, low, high and seeds."""
    return f"{axis.group}/{metric}/{part}"

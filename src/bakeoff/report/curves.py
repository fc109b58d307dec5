"""Read the scalar curves of a run or an arm from event files: every point, where TensorBoard keeps 1000 a tag."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.util import tensor_util

from bakeoff.report.arms import Arm
from bakeoff.tensorboard.records import records


class Curve(NamedTuple):
    """Rising steps `(P,)`, int64, and their values `(P,)`, float64, NaN and infinities included."""

    steps: np.ndarray
    values: np.ndarray


def read_curves(run: Path) -> dict[str, Curve]:
    """Tag -> curve, from every event file in the folder of one run; empty when there is none.

    A file that is cut short, as a killed run leaves it, or damaged gives the points before the damage. When a resumed
    run has repeated a step, the value that was written last counts.
    """
    points: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for path in sorted(run.glob("events.out.tfevents.*")):
        for data in records(path.read_bytes()):
            event = Event.FromString(data)
            for value in event.summary.value:
                number = _scalar(value)
                if number is not None:
                    steps, times, values = points.setdefault(value.tag, ([], [], []))
                    steps.append(event.step)
                    times.append(event.wall_time)
                    values.append(number)
    return {tag: _curve(*points[tag]) for tag in sorted(points)}


def arm_curves(arm: Arm) -> dict[str, Curve]:
    """Tag -> mean curve over the completed runs of an arm, for the tags that all of them have; empty when none
    completed. A diverged or failed run is counted elsewhere, never averaged in.
    """
    runs = [read_curves(record.path) for record in arm.records if record.status == "completed"]
    tags = [tag for tag in runs[0] if all(tag in run for run in runs)] if runs else []
    return {tag: mean_curve([run[tag] for run in runs]) for tag in tags}


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Mean of the values at the steps that all `curves` have: none, where a budget in seconds made the steps differ.

    A value that is not finite in one curve makes the mean of that step not finite. Raises ValueError for no curves.
    """
    if not curves:
        raise ValueError("curves must hold at least 1 curve, got none")
    steps = reduce(np.intersect1d, [curve.steps for curve in curves])
    values = [curve.values[np.searchsorted(curve.steps, steps)] for curve in curves]
    return Curve(steps, np.mean(values, axis=0))


def _scalar(value: Summary.Value) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    # TensorBoard's newer form: a tensor, marked as the scalars plugin's
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "scalars":
        return float(tensor_util.make_ndarray(value.tensor).item())
    return None


def _curve(steps: list[int], times: list[float], values: list[float]) -> Curve:
    order = np.lexsort((times, steps))  # by step, then by the clock
    rising = np.array(steps, dtype=np.int64)[order]
    last = np.append(rising[1:] != rising[:-1], True)
    return Curve(rising[last], np.array(values, dtype=np.float64)[order][last])

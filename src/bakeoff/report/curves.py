"""Read the scalar curves of a run or an arm from event files: every point, where TensorBoard keeps 1000 a tag."""

from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.util import tensor_util

from bakeoff.report.arms import Arm


class Curve(NamedTuple):
    """Rising steps `(P,)`, int64, and their values `(P,)`, float64, NaN and infinities included."""

    steps: np.ndarray
    values: np.ndarray


def read_curves(run: Path) -> dict[str, Curve]:
    """Tag -> curve, from every event file in the folder of one run; empty when there is none.

    A file that is cut short, as a killed run leaves it, or damaged gives the points before the damage. When a resumed
    run has repeated a step, the value that was written last counts.
    """
    points: dict[str, list[tuple[int, float, float]]] = {}
    for path in sorted(run.glob("events.out.tfevents.*")):
        for event in _events(path):
            for value in event.summary.value:
                number = _scalar(value)
                if number is not None:
                    points.setdefault(value.tag, []).append((event.step, event.wall_time, number))
    return {tag: _curve(triples) for tag, triples in sorted(points.items())}


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


def _events(path: Path) -> Iterator[event_pb2.Event]:
    # the loader checks the checksums, and ends quietly at the first record that is cut short or fails them
    for data in RawEventFileLoader(str(path)).Load():
        yield event_pb2.Event.FromString(data)


def _scalar(value: summary_pb2.Summary.Value) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    # TensorBoard's newer form: a tensor, marked as the scalars plugin's
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "scalars":
        return float(tensor_util.make_ndarray(value.tensor).item())
    return None


def _curve(triples: list[tuple[int, float, float]]) -> Curve:
    latest = {step: value for step, _, value in sorted(triples, key=lambda triple: triple[:2])}
    return Curve(np.array(list(latest), dtype=np.int64), np.array(list(latest.values()), dtype=np.float64))

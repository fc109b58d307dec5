"""Reads the scalar curves of a run from event files: every point, where TensorBoard keeps 1000 for each tag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util import tensor_util

from bakeoff.tensorboard.tfrecord import read_records


class Curve(NamedTuple):
    """Rising steps `(P,)`, int64, and their values `(P,)`, float64, NaN and infinities included."""

    steps: np.ndarray
    values: np.ndarray


def read_curves(run: Path) -> dict[str, Curve]:
    """Tag -> curve, from every event file in the folder of one run; empty when there is none.

    A file that is cut short, as a killed run leaves it, or damaged gives the points before the damage; one that may not
    be read gives none. When a resumed run has repeated a step, the value that was written last counts.
    """
    steps: list[int] = []
    points: dict[str, list[tuple[int, float]]] = {}  # tag -> (number of the event, value)
    for path in sorted(run.glob("events.out.tfevents.*")):
        for data in read_records(_read_bytes(path)):
            event = Event.FromString(data)
            for tag, number in _scalars(event):
                points.setdefault(tag, []).append((len(steps), number))
            steps.append(event.step)
    return {tag: _curve(points[tag], np.array(steps, dtype=np.int64)) for tag in sorted(points)}


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _scalars(event: Event) -> Iterator[tuple[str, float]]:
    for value in event.summary.value:
        number = value.simple_value
        if number or value.HasField("simple_value"):  # a number that is not 0 is there: most need no second test
            yield value.tag, number
        # TensorBoard's newer form: a tensor, marked as the scalars plugin's
        elif value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "scalars":
            yield value.tag, float(tensor_util.make_ndarray(value.tensor).item())


def _curve(points: list[tuple[int, float]], steps: np.ndarray) -> Curve:
    """`steps` are those of all events of the run, in the order of writing: by the names of its files, by no clock."""
    events = np.array([event for event, _ in points])
    values = np.array([value for _, value in points], dtype=np.float64)
    steps = steps[events]
    if (steps[1:] > steps[:-1]).all():
        return Curve(steps, values)
    order = np.argsort(steps, kind="stable")
    rising = steps[order]
    last = np.append(rising[1:] != rising[:-1], True)
    return Curve(rising[last], values[order][last])

"""Records for TensorBoard's HParams dashboard, without TensorFlow: what an experiment compares, and each run's values.

A run has one start record, with its hyperparameters, and one end record, once it is finished. A sweep has one
experiment record: TensorBoard takes the first one that it finds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from bakeoff.tensorboard.tfrecord import read_records

Hyperparameter = float | bool | str
Kind = Literal["number", "bool", "text"]
# TensorBoard filters ten and more listed values by a pattern, which it then refuses to match with numbers.
MAX_LISTED_NUMBERS = 9
_HEAD_BYTES = 64 * 1024  # a run's start record, and a sweep's experiment, are at the beginning
_FIELDS = {"number": "number_value", "bool": "bool_value", "text": "string_value"}
_TYPES: dict[Kind, Any] = {
    "number": api_pb2.DATA_TYPE_FLOAT64,
    "bool": api_pb2.DATA_TYPE_BOOL,
    "text": api_pb2.DATA_TYPE_STRING,
}


@dataclass(frozen=True)
class HParamColumn:
    """One hyperparameter in the table of runs, with the values that it takes there."""

    name: str
    display_name: str = ""
    description: str = ""
    type: Kind = "text"
    values: Sequence[Hyperparameter] = ()
    differs: bool = True


@dataclass(frozen=True)
class MetricColumn:
    """One metric in the table of runs: the last value of the scalar `tag`."""

    tag: str
    display_name: str = ""
    description: str = ""


def kind_of(value: Hyperparameter) -> Kind:
    """The type of the column that can hold a value."""
    if isinstance(value, bool):  # before numbers: True is an int
        return "bool"
    return "text" if isinstance(value, str) else "number"


def separate_kinds(hparams: Mapping[str, Hyperparameter], kinds: Mapping[str, Kind]) -> dict[str, Hyperparameter]:
    """The same hyperparameters, so named that no column holds two types, where `kinds` says what each column holds.

    A value of another type goes into a column of text as text, and beside any other column as `<name> (<type>)`:
    TensorBoard can neither sort nor filter a column of numbers and text.
    """
    found: dict[str, Hyperparameter] = {}
    for name, value in hparams.items():
        kind = kind_of(value)
        wanted = kinds.get(name, kind)
        if wanted == "text":
            found[name] = _as_text(value)
        else:
            found[name if wanted == kind else f"{name} ({kind})"] = value
    return found


def _as_text(value: Hyperparameter) -> str:
    return value if isinstance(value, str) else json.dumps(value)  # true and 0.1, as a configuration has them


def session_start(hparams: Mapping[str, Hyperparameter], group: str, started: float) -> Summary:
    """A run starts. Runs of one `group` are shown in one row; `started` is in seconds since the epoch.

    A number that is not finite is left out, as TensorBoard leaves it out of its answers.
    """
    info = SessionStartInfo(group_name=group, start_time_secs=started)
    for name, value in hparams.items():
        if isinstance(value, (bool, str)) or math.isfinite(value):
            _put(info.hparams[name], value)
    return _summary(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))


def session_end(success: bool, ended: float) -> Summary:
    """A run has finished, at `ended` seconds since the epoch."""
    status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=ended)
    return _summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))


def experiment(columns: Sequence[HParamColumn], metrics: Sequence[MetricColumn]) -> Summary:
    """What a sweep compares and by what, for the root of its folder."""
    content = api_pb2.Experiment(
        hparam_infos=[_column(column) for column in columns],
        metric_infos=[_metric(metric) for metric in metrics],
    )
    return _summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=content))


def read_session_start(path: Path) -> dict[str, Hyperparameter] | None:
    """The hyperparameters in a run's event file, of which the first 64 KB are read; None where there are none."""
    content = _first(path, metadata.SESSION_START_INFO_TAG)
    if content is None:
        return None
    found = content.session_start_info.hparams
    return {name: _to_python(value) for name, value in sorted(found.items()) if value.WhichOneof("kind")}


def read_kinds(folder: Path) -> dict[str, Kind]:
    """The columns of the experiment in the root of a sweep's folder; empty where there is none."""
    kinds = {of: name for name, of in _TYPES.items()}
    for path in sorted(folder.glob("events.out.tfevents.*"), reverse=True):
        content = _first(path, metadata.EXPERIMENT_TAG)
        if content is not None:
            return {info.name: kinds[info.type] for info in content.experiment.hparam_infos}
    return {}


def _first(path: Path, tag: str) -> Any:
    """The content of the first record of this tag near the beginning of an event file, or None."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for data in read_records(head):
        for value in Event.FromString(data).summary.value:
            if value.tag == tag:
                return HParamsPluginData.FromString(value.metadata.plugin_data.content)
    return None


def _column(column: HParamColumn) -> Any:
    info = api_pb2.HParamInfo(
        name=column.name,
        display_name=column.display_name,
        description=column.description,
        type=_TYPES[column.type],
        differs=column.differs,
    )
    if column.type != "number":
        # without a list TensorBoard offers no filter at all; from ten values on it is a pattern
        _list(info, set(column.values))
        return info
    numbers = sorted({float(value) for value in column.values if math.isfinite(float(value))})
    if len(numbers) > MAX_LISTED_NUMBERS:
        info.domain_interval.min_value, info.domain_interval.max_value = numbers[0], numbers[-1]
    elif numbers:
        _list(info, set(numbers))
    return info


def _list(info: Any, values: set[Hyperparameter]) -> None:
    for value in sorted(values):
        _put(info.domain_discrete.values.add(), value)


def _metric(metric: MetricColumn) -> Any:
    name = api_pb2.MetricName(group="", tag=metric.tag)  # no group: the run's own scalars
    return api_pb2.MetricInfo(name=name, display_name=metric.display_name, description=metric.description)


def _put(field: Any, value: Hyperparameter) -> None:
    """Sets a protobuf `Value` to a value of the same type."""
    setattr(field, _FIELDS[kind_of(value)], value)


def _to_python(field: Any) -> Hyperparameter:
    """The value of a protobuf `Value`."""
    value: Hyperparameter = getattr(field, field.WhichOneof("kind"))
    return value


def _summary(tag: str, content: HParamsPluginData) -> Summary:
    about = metadata.create_summary_metadata(content)
    return Summary(value=[Summary.Value(tag=tag, tensor=metadata.NULL_TENSOR, metadata=about)])

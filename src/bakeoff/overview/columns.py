"""The columns of the HParams table: every choice and hyperparameter that differs between runs, and the metrics."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.report.metric import find_direction, find_split, why_no_direction
from bakeoff.report.records import Record, run_folders
from bakeoff.runs.metrics import on_test_data
from bakeoff.tensorboard.hparams import (
    HParamColumn,
    Hyperparameter,
    MetricColumn,
    kind_of,
    read_session_start,
    separate_kinds,
)

log = logging.getLogger(__name__)


def session_hparams(sweep: Path) -> list[Mapping[str, Hyperparameter]]:
    """The hyperparameters of every run that has started, as its event file holds them, if it can be read."""
    return [start for run in run_folders(sweep) if (start := _hparams_of(run))]


def _hparams_of(run: Path) -> Mapping[str, Hyperparameter] | None:
    with suppress(OSError):
        for path in sorted(run.glob("events.out.tfevents.*"))[:1]:
            return read_session_start(path)
    return None


def with_kinds_separated(
    started: Sequence[Mapping[str, Hyperparameter]], planned: Sequence[Mapping[str, Hyperparameter]]
) -> list[Mapping[str, Hyperparameter]]:
    """All of them, the planned ones as their event files will hold them: text and numbers never share a name.

    The runs that have started decide the kind of each; where the planned ones are the first and differ, it is text.
    """
    kinds = {key: kind_of(value) for run in started for key, value in run.items()}
    for key in dict.fromkeys(key for run in planned for key in run):
        planned_kinds = {kind_of(run[key]) for run in planned if key in run}
        kinds.setdefault(key, planned_kinds.pop() if len(planned_kinds) == 1 else "text")
    return [*started, *(separate_kinds(run, kinds) for run in planned)]


def differing_columns(runs: Sequence[Mapping[str, Hyperparameter]]) -> list[HParamColumn]:
    """A column for each key that has more than one value, or none in some runs, in the order in which keys are met.

    Left out is a key of one value that only some runs have where another column says which: `betas` is Adam's.
    """
    keys = dict.fromkeys(key for run in runs for key in run)
    columns = {key: column for key in keys if (column := _column(key, runs))}
    several = [key for key, column in columns.items() if len(column.values) > 1]
    alone = {key for key in columns if key not in several and any(_decides(by, key, runs) for by in several)}
    return [column for key, column in columns.items() if key not in alone]


def _column(key: str, runs: Sequence[Mapping[str, Hyperparameter]]) -> HParamColumn | None:
    # in the order in which they are met, and not in that of a set, which is another in each process
    distinct = dict.fromkeys((kind_of(run[key]), run[key]) for run in runs if key in run)
    if len(distinct) == 1 and all(key in run for run in runs):
        return None
    kinds = {kind for kind, _ in distinct}
    if len(kinds) > 1:  # other launchers than ours cannot know this before the runs start
        log.warning("HParams has no column %s: its values are %s", key, " and ".join(sorted(kinds)))
        return None
    return HParamColumn(key, type=kinds.pop(), values=[value for _, value in distinct])


def _decides(by: str, key: str, runs: Sequence[Mapping[str, Hyperparameter]]) -> bool:
    """Whether runs that agree in `by` agree in having `key`."""
    has: dict[Hyperparameter | None, bool] = {}
    return all(has.setdefault(run.get(by), key in run) == (key in run) for run in runs)


def metric_columns(records: Sequence[Record], main: str) -> list[MetricColumn]:
    """Final and best of every metric, those of the main metric first; no best where a run can have none."""
    known = dict.fromkeys(name for record in records for name in record.metrics)
    first = [name for name in (main, on_test_data(main)) if name in known]
    return [column for name in dict.fromkeys([*first, *known]) for column in _metric_columns(name, records)]


def _metric_columns(name: str, records: Sequence[Record]) -> list[MetricColumn]:
    direction = find_direction(records, name)
    sentences = {"min": "lower is better", "max": "higher is better", None: why_no_direction(records, name)}
    data = {"val": "validation data", "test": "test data, which chose nothing", "train": "training batches"}
    split = find_split(records, name)
    on = data.get(split or "", name.partition("/")[0])
    about = f"on {on}; {sentences[direction]}; completed runs alone have it"
    final = MetricColumn(f"final/{name}", f"{name} (final)", f"Last value {about}.")
    if split == "test" or direction is None:
        return [final]
    return [final, MetricColumn(f"best/{name}", f"{name} (best)", f"Best value of the run {about}.")]

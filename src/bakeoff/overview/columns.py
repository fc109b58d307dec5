"""The columns of the HParams table: every choice and hyperparameter that differs between runs, and the metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.report.records import Record, run_folders
from bakeoff.runs import lower_is_better
from bakeoff.tensorboard.hparams import Column, Hyperparameter, MetricColumn, apart, kind_of, read_session_start

log = logging.getLogger(__name__)


def sessions(sweep: Path) -> list[Mapping[str, Hyperparameter]]:
    """The hyperparameters of every run that has begun, as its event file holds them, if it can be read."""
    return [start for run in run_folders(sweep) if (start := _session(run))]


def _session(run: Path) -> Mapping[str, Hyperparameter] | None:
    with suppress(OSError):
        for path in sorted(run.glob("events.out.tfevents.*"))[:1]:
            return read_session_start(path)
    return None


def told_apart(
    begun: Sequence[Mapping[str, Hyperparameter]], planned: Sequence[Mapping[str, Hyperparameter]]
) -> list[Mapping[str, Hyperparameter]]:
    """All of them, the planned ones as they will stand in their event files, where text and numbers share no name.

    What the first runs of a sweep hold decides; where the planned ones are the first and do not agree, it is text.
    """
    kinds = {key: kind_of(value) for run in begun for key, value in run.items()}
    for key in dict.fromkeys(key for run in planned for key in run):
        of_planned = {kind_of(run[key]) for run in planned if key in run}
        kinds.setdefault(key, of_planned.pop() if len(of_planned) == 1 else "text")
    return [*begun, *(apart(run, kinds) for run in planned)]


def differing(runs: Sequence[Mapping[str, Hyperparameter]]) -> list[Column]:
    """A column for each key that has more than one value, or none in some runs, in the order in which keys are met.

    Left out is a key of one value that only some runs have where another column says which: `betas` is Adam's.
    """
    keys = dict.fromkeys(key for run in runs for key in run)
    columns = {key: column for key in keys if (column := _column(key, runs))}
    several = [key for key, column in columns.items() if len(column.values) > 1]
    alone = {key for key in columns if key not in several and any(_decides(by, key, runs) for by in several)}
    return [column for key, column in columns.items() if key not in alone]


def _column(key: str, runs: Sequence[Mapping[str, Hyperparameter]]) -> Column | None:
    distinct = {(kind_of(run[key]), run[key]) for run in runs if key in run}
    if len(distinct) == 1 and all(key in run for run in runs):
        return None
    kinds = {of for of, _ in distinct}
    if len(kinds) > 1:  # other launchers than ours cannot know this beforehand, and sort it out when the runs start
        log.warning("HParams has no column %s: its values are %s", key, " and ".join(sorted(kinds)))
        return None
    return Column(key, type=kinds.pop(), values=[value for _, value in distinct])


def _decides(by: str, key: str, runs: Sequence[Mapping[str, Hyperparameter]]) -> bool:
    """Whether runs that agree in `by` agree in having `key`."""
    has: dict[Hyperparameter | None, bool] = {}
    return all(has.setdefault(run.get(by), key in run) == (key in run) for run in runs)


def metric_columns(records: Iterable[Record], main: str) -> list[MetricColumn]:
    """Final and best of every metric, those of the main metric first."""
    known = dict.fromkeys(name for record in records for name in record.metrics)
    first = [name for name in (main, main.replace("val/", "test/")) if name in known]
    return [column for name in dict.fromkeys([*first, *known]) for column in _metric_columns(name)]


def _metric_columns(name: str) -> list[MetricColumn]:
    better = "lower" if lower_is_better(name) else "higher"
    data = {"val": "validation data", "test": "test data, which chose nothing", "train": "training batches"}
    on = data.get(name.partition("/")[0], name.partition("/")[0])
    about = f"on {on}; {better} is better; completed runs alone have it"
    final = MetricColumn(f"final/{name}", f"{name} (final)", f"Last value {about}.")
    if name.startswith("test/"):
        return [final]
    return [final, MetricColumn(f"best/{name}", f"{name} (best)", f"Best value of the run {about}.")]

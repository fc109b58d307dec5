"""What is printed after every multirun: the leaderboard, why runs failed, where to look at the runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from bakeoff.overview import Overview, comparison, time_series
from bakeoff.report.arms import group_arms
from bakeoff.report.metric import resolve_metric
from bakeoff.report.records import Record, Sweep, run_folders
from bakeoff.report.sweep_text import sweep_text
from bakeoff.report.table import shorten, visible
from bakeoff.runs import write_atomically
from bakeoff.runs.outcome import FILE_NAME

MAX_REASONS = 5  # for which runs failed; bakeoff-runs knows the others
MAX_WIDTH = 100  # characters of one


def print_summary(sweep: Sweep, config: DictConfig) -> None:
    """Prints the summary of a multirun."""
    folder = Path(config.hydra.sweep.dir)
    _keep_tuning_note(folder, config.tuning_note)
    metric = resolve_metric(sweep.records, config.metric)
    stated = replace(sweep, tuning_note=config.tuning_note)
    print(f"\n{sweep_text(stated, metric=metric, direction=config.metric_direction)}")
    Overview(folder, config.metric).update()  # nothing is written that is up to date
    for line in _failures(folder, sweep.records):
        print(line)
    print(f"TensorBoard: tensorboard --logdir {shlex.quote(str(folder))}")
    print(f"compare:     {comparison()}")
    print(f"curves:      {time_series(group_arms(sweep.records), metric)}")


def record_contents(folder: Path) -> dict[Path, bytes]:
    """The records of a sweep as they are on disk, to be asked before its runs are trained."""
    found = {}
    for run in run_folders(folder):
        with suppress(OSError):
            found[run] = (run / FILE_NAME).read_bytes()
    return found


def failed_folders(records: Sequence[Record], before: Mapping[Path, bytes]) -> set[str]:
    """The folders of the runs that failed since the records were `before`: earlier commands have failures, too."""
    failed = [record.path for record in records if record.status == "failed"]
    return {str(run.absolute()) for run in failed if (run / FILE_NAME).read_bytes() != before.get(run)}


def _failures(folder: Path, records: Sequence[Record]) -> Iterator[str]:
    """Why runs failed, each reason once, with a run that had it; ends in an empty line."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "failed" and record.error is not None:
            runs.setdefault(f"{record.error.get('type')}: {record.error.get('message')}", []).append(record)
    for reason, found in list(runs.items())[:MAX_REASONS]:
        counted = f"{len(found)} runs, such as" if len(found) > 1 else "in"
        yield f"failed: {shorten(visible(reason), MAX_WIDTH)} ({counted} {found[0].folder}/seed={found[0].seed})"
    if len(runs) > MAX_REASONS:
        yield f"failed: for {len(runs) - MAX_REASONS} other reasons"
    if runs:
        yield f"errors in full: bakeoff-runs {shlex.quote(str(folder))} status=failed --errors"
        yield ""


def _keep_tuning_note(folder: Path, note: str | None) -> None:
    """Beside the runs, for later reports; a sweep that states none has none."""
    if note:
        write_atomically(folder / "tuning_note.txt", f"{note}\n")
    else:
        (folder / "tuning_note.txt").unlink(missing_ok=True)

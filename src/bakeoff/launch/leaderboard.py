"""Prints the leaderboard after every multirun, whichever launcher trained the runs."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from bakeoff.launch.launcher import left_failed
from bakeoff.overview import Overview, comparison, time_series
from bakeoff.report.arms import group_arms
from bakeoff.report.leaderboard import render
from bakeoff.report.ranking import usual_metric
from bakeoff.report.records import Record, Sweep, read_sweep
from bakeoff.report.table import shorten, visible
from bakeoff.runs import write_whole

MOST_REASONS = 5  # for which runs failed; bakeoff-runs knows the others
WIDEST = 100  # characters of one


class PrintLeaderboard(Callback):
    """A Hydra callback; the sweep's exit status is 1 if any of its runs failed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run."""
        self._started = time.time()
        left_failed.clear()  # of a command before, in the same process

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra when all runs have ended."""
        if config.dry_run:  # under another launcher
            return
        folder = Path(config.hydra.sweep.dir)
        sweep = read_sweep(folder)
        try:
            self._tell(folder, sweep, config)
        finally:
            if any(record.status == "failed" and self._is_of_this_command(record) for record in sweep.records):
                sys.stdout.flush()
                raise SystemExit(1)  # not an Exception: Hydra would turn one into a warning

    def _tell(self, folder: Path, sweep: Sweep, config: DictConfig) -> None:
        _keep_policy(folder, config.policy)
        metric = usual_metric(sweep.records, config.metric)
        print("\n" + render(sweep.records, sweep.problems, metric=metric, policy=config.policy))
        if any(map(self._is_new, sweep.records)) or not any(folder.glob("events.out.tfevents.*")):
            Overview(folder, config.metric).update()
        for line in _failures(folder, sweep.records):
            print(line)
        print(f"TensorBoard: tensorboard --logdir {shlex.quote(str(folder))}")
        print(f"compare:     {comparison()}")
        print(f"curves:      {time_series(group_arms(sweep.records), metric)}")

    def _is_of_this_command(self, record: Record) -> bool:
        return self._is_new(record) or str(record.path.absolute()) in left_failed

    def _is_new(self, record: Record) -> bool:
        """Whether the run ended in this multirun; its folder may hold failures of earlier ones."""
        return (record.path / "outcome.json").stat().st_mtime >= self._started - 1


def _failures(folder: Path, records: Sequence[Record]) -> Iterator[str]:
    """Why runs failed, each reason once, with a run that had it; ends in an empty line."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "failed" and record.error is not None:
            runs.setdefault(f"{record.error.get('type')}: {record.error.get('message')}", []).append(record)
    for reason, found in list(runs.items())[:MOST_REASONS]:
        counted = f"{len(found)} runs, such as" if len(found) > 1 else "in"
        yield f"failed: {shorten(visible(reason), WIDEST)} ({counted} {found[0].folder}/seed={found[0].seed})"
    if len(runs) > MOST_REASONS:
        yield f"failed: for {len(runs) - MOST_REASONS} other reasons"
    if runs:
        yield f"errors in full: bakeoff-runs {shlex.quote(str(folder))} status=failed --errors"
        yield ""


def _keep_policy(folder: Path, policy: str | None) -> None:
    """Beside the runs, for later reports; a sweep that states none has none."""
    if policy:
        write_whole(folder / "policy.txt", f"{policy}\n")
    else:
        (folder / "policy.txt").unlink(missing_ok=True)

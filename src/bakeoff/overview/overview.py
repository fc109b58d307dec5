"""What TensorBoard shows of a whole sweep: one HParams experiment, bands over seeds, the leaderboard, pictures.

All of it is made from the run folders, and can be made again from them at any time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import UserError
from bakeoff.overview.bands import bands_are_cleared, bands_are_current, clear_bands, write_bands
from bakeoff.overview.columns import (
    differing_columns,
    metric_columns,
    session_hparams,
    with_kinds_separated,
)
from bakeoff.overview.layout import custom_scalars
from bakeoff.overview.rewrite import PATTERN, replace_events, written_state
from bakeoff.overview.state import sweep_state
from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.metric import resolve_metric
from bakeoff.report.records import Sweep, read_sweep
from bakeoff.report.sweep_text import sweep_text
from bakeoff.runs.metrics import split_of
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.hparams import HParamColumn, Hyperparameter, experiment
from bakeoff.tensorboard.summaries import code_block, image, text

log = logging.getLogger(__name__)
MIN_INTERVAL = 5.0  # seconds between two updates
MAX_FRACTION = 0.02  # of the time is spent on updates while runs are trained
MAX_PASSES = 4  # over the records in one update: whoever makes more of them necessary updates after that itself


class _Root(NamedTuple):
    """What the root of a sweep is made from, besides its records."""

    metric: str
    columns: Sequence[HParamColumn]
    state: str


class Overview:
    """Keeps the root of a sweep's folder, and the folders of its arms, up to date.

    Args:
        sweep: the folder of the sweep.
        metric: what arms are ranked by.

    """

    def __init__(self, sweep: Path, metric: str) -> None:
        self.sweep, self.metric = sweep, metric
        self._planned: list[Mapping[str, Hyperparameter]] = []
        self._due = 0.0

    def begin(self, planned: Sequence[Mapping[str, Hyperparameter]]) -> None:
        """Before the first run: the columns of HParams, those of runs that are planned among them.

        Raises:
            OSError: the folder of the sweep cannot be made.

        """
        self._planned = list(planned)
        self.sweep.mkdir(parents=True, exist_ok=True)
        with self._log_errors():
            sweep = read_sweep(self.sweep)
            self._write_root(sweep, self._root(sweep))

    def run_ended(self) -> None:
        """Updates what has changed, if the last update is long enough ago."""
        started = time.monotonic()
        if started < self._due:
            return
        self.update()
        ended = time.monotonic()
        self._due = ended + max(MIN_INTERVAL, (ended - started) / MAX_FRACTION)

    def update(self) -> None:
        """Brings everything up to date.

        What it has written is compared with the records once more, until nothing is left to do: runs end meanwhile, and
        another process of the same sweep may have written over it what it had read before.
        """
        with self._log_errors():
            for _ in range(MAX_PASSES):
                if not self._write_what_changed():
                    return

    def _write_what_changed(self) -> bool:
        """Whether anything had."""
        sweep = read_sweep(self.sweep)
        arms = group_arms(sweep.records)
        changed = [arm for arm in arms if not bands_are_current(arm)]
        for arm in changed:
            write_bands(arm)
        written = {path.parent for path in self.sweep.glob(f"*/{PATTERN}")}
        empty = [path for path in written - {self.sweep / arm.folder for arm in arms} if not bands_are_cleared(path)]
        for folder in empty:
            clear_bands(folder)
        root = self._root(sweep)
        if written_state(self.sweep) != root.state:
            self._write_root(sweep, root)
            return True
        return bool(changed or empty)

    @contextmanager
    def _log_errors(self) -> Iterator[None]:
        """Errors are logged: no sweep is stopped for its pictures."""
        try:
            yield
        except Exception as error:  # a full disk, a run folder that was removed meanwhile, what a figure cannot show
            log.warning("TensorBoard's overview of %s is out of date: %s: %s", self.sweep, type(error).__name__, error)

    def _root(self, sweep: Sweep) -> _Root:
        metric = resolve_metric(sweep.records, self.metric)
        columns = differing_columns(with_kinds_separated(session_hparams(self.sweep), self._planned))
        return _Root(metric, columns, sweep_state(sweep, metric, columns))

    def _write_root(self, sweep: Sweep, root: _Root) -> None:
        with replace_events(self.sweep, root.state) as file:
            file.summary(experiment(root.columns, metric_columns(sweep.records, root.metric)))
            file.summary(custom_scalars(_curves(sweep, root.metric)))
            if sweep.records:
                file.summary(text("leaderboard", _leaderboard(sweep, root.metric)), len(sweep.records))
                _draw(file, group_arms(sweep.records), root.metric)


def _curves(sweep: Sweep, metric: str) -> list[str]:
    """What has a band, the main metric first."""
    named = ((name, record.splits) for record in sweep.records for name in record.metrics)
    known = dict.fromkeys(name for name, splits in named if split_of(name, splits) != "test")
    return list(dict.fromkeys([metric, *known]))


def _leaderboard(sweep: Sweep, metric: str) -> str:
    try:
        table = sweep_text(sweep, metric=metric)
    except UserError as error:
        return f"No leaderboard: {code_block(str(error))}"
    return code_block(table)


def _draw(file: EventFile, arms: Sequence[Arm], metric: str) -> None:
    from bakeoff.report import figures  # matplotlib takes half a second to import

    step = sum(len(arm.records) for arm in arms)
    for tag, draw in (("choices", figures.heat_map), ("learning rate", figures.metric_by_rate)):
        png = draw(arms, metric)
        if png is not None:
            file.summary(image(tag, png), step)

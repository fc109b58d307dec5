"""Ranks the arms of a sweep by the final value of a validation metric.

Arms whose runs all completed come first, by the mean over seeds; then arms with some bad runs, by the mean over their
completed runs; then arms with none completed. Only the first kind gets a rank, so an arm with a bad run is never the
best. Bad runs are counted, never averaged in. Which ranked arms may be the best is asked of all of them at once
(`bakeoff.report.standing`): the leader was chosen by the same runs that are to show that it leads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.effects import signed_values
from bakeoff.report.metric import METRIC, check_metric, metric_direction
from bakeoff.report.records import Record, UnreadableRun
from bakeoff.report.standing import Standing, standing
from bakeoff.runs.metrics import Direction, on_test_data
from bakeoff.stats import Estimate, mean_interval

UNREADABLE = "unreadable"  # counted beside the statuses


@dataclass(frozen=True)
class Row:
    """One arm. Estimates and means are over the completed runs that have the metric; None if there are none.

    `counts` maps a status, or `unreadable`, to a number of runs. `test` is None too when one of those runs lacks the
    test metric. `rank` is None unless every run completed. `too_close`: it may be the best as well as the first.
    `shared_seeds`: how many seeds it shares with the first.
    """

    arm: Arm
    counts: Counter[str]
    validation: Estimate | None = None
    test: Estimate | None = None
    steps: float | None = None
    samples: float | None = None
    seconds: float | None = None
    rank: int | None = None
    too_close: bool = False
    shared_seeds: int = 0

    @property
    def all_completed(self) -> bool:
        """True when every run of the arm, whatever its status, is in the mean."""
        return self.validation is not None and self.validation.n == self.counts.total()


def rank_arms(
    records: Iterable[Record],
    unreadable: Iterable[UnreadableRun] = (),
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
) -> list[Row]:
    """One row for each arm, best first; arms of equal mean share a rank and are ordered by folder name.

    `direction` says whether small (`min`) or large (`max`) values are better, where the runs do not say.

    Raises:
        UserError: `metric` is not a validation metric, no run has it, or its direction is not known.

    """
    records = list(records)
    check_metric(records, metric)
    direction = metric_direction(records, metric, direction)
    missing = Counter(run.folder for run in unreadable)
    rows = [_row(arm, missing[arm.folder], metric) for arm in group_arms(records)]
    rows.sort(key=lambda row: _sort_key(row, direction))
    keys = [_sort_key(row, direction) for row in rows]
    found = stand(rows, metric, direction)
    best = frozenset[str]() if found is None else found.best
    return [
        _with_rank(row, rows[0], 1 + bisect_left(keys, key), metric, best) for row, key in zip(rows, keys, strict=True)
    ]


def stand(rows: Sequence[Row], metric: str, direction: Direction) -> Standing | None:
    """All arms that have a rank against each other, the first of `rows` ahead; None of fewer than two."""
    ranked = {row.arm.folder: signed_values(row.arm, metric, direction) for row in rows if row.all_completed}
    return standing(ranked, rows[0].arm.folder) if len(ranked) > 1 else None


def _row(arm: Arm, unreadable: int, metric: str) -> Row:
    counts = Counter({UNREADABLE: unreadable}) + Counter(record.status for record in arm.records)
    values, tests = arm.completed(metric), arm.completed(on_test_data(metric))
    if not values:
        return Row(arm, counts)
    used = [record for record in arm.records if record.seed in values]
    return Row(
        arm,
        counts,
        validation=mean_interval(values.values()),
        # a mean over fewer runs than the one beside it would invite comparing the two
        test=mean_interval(tests[seed] for seed in values) if values.keys() <= tests.keys() else None,
        steps=mean(record.steps for record in used),
        samples=mean(record.samples for record in used),
        seconds=mean(record.seconds for record in used),
    )


def _sort_key(row: Row, direction: Direction) -> tuple[int, float]:
    if row.validation is None:
        return 2, 0.0
    value = row.validation.mean if direction == "min" else -row.validation.mean
    return (0 if row.all_completed else 1), value


def _with_rank(row: Row, first: Row, rank: int, metric: str, best: frozenset[str]) -> Row:
    if not row.all_completed:
        return row
    shared = row.arm.completed(metric).keys() & first.arm.completed(metric).keys()
    close = row is not first and (row.arm.folder in best or len(shared) < 2)
    return replace(row, rank=rank, too_close=close, shared_seeds=len(shared))

"""Rank the arms of a sweep by the final value of a validation metric.

The policy: arms whose runs all completed come first, by the mean over seeds; then arms with some bad runs, by the mean
over their completed runs; then arms with none completed. Only the first kind gets a rank, so an arm with a bad run is
never the best. Bad runs are counted, never averaged in.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.metric import METRIC, check_metric, on_test_data, usual_metric
from bakeoff.report.records import Problem, Record
from bakeoff.runs import lower_is_better
from bakeoff.stats import Estimate, mean_interval, too_close_to_call

__all__ = ["LOST", "METRIC", "Row", "check_metric", "on_test_data", "rank_arms", "usual_metric"]

LOST = "lost"


@dataclass(frozen=True)
class Row:
    """One arm. Estimates and means are over the completed runs that have the metric; None if there are none.

    `counts` maps a status, or `lost` for an outcome that could not be read, to a number of runs. `test` is None too
    when one of those runs lacks the test metric. `rank` is None unless every run completed. `too_close`: the
    difference from the best may be 0. `shared_seeds`: how many seeds that difference rests on.
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


def rank_arms(records: Iterable[Record], problems: Iterable[Problem] = (), *, metric: str = METRIC) -> list[Row]:
    """One row an arm, best first; arms of equal mean share a rank and are ordered by folder name.

    Raises UserError when `metric` is not a validation metric, or no run has it.
    """
    records = list(records)
    check_metric(records, metric)
    lost = Counter(problem.folder for problem in problems)
    rows = [_row(arm, lost[arm.folder], metric) for arm in group_arms(records)]
    rows.sort(key=lambda row: _place(row, metric))
    places = [_place(row, metric) for row in rows]
    return [_judged(row, rows[0], places, metric) for row in rows]


def _row(arm: Arm, lost: int, metric: str) -> Row:
    counts = Counter({LOST: lost}) + Counter(record.status for record in arm.records)
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


def _place(row: Row, metric: str) -> tuple[int, float]:
    if row.validation is None:
        return 2, 0.0
    value = row.validation.mean if lower_is_better(metric) else -row.validation.mean
    return (0 if row.all_completed else 1), value


def _judged(row: Row, best: Row, places: Sequence[tuple[int, float]], metric: str) -> Row:
    """`places` are those of all rows, in order."""
    if not row.all_completed:
        return row
    rank = 1 + bisect_left(places, _place(row, metric))
    own, bests = row.arm.completed(metric), best.arm.completed(metric)
    close = row is not best and too_close_to_call(own, bests)
    return replace(row, rank=rank, too_close=close, shared_seeds=len(own.keys() & bests.keys()))

"""Which metric a report is about, and whether its small or its large values are better.

The direction of a user's own metric is never guessed from its name: it is what the runs state, or what the user gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.errors import UserError, did_you_mean
from bakeoff.report.record import Record
from bakeoff.runs.metrics import Direction, find_metric, on_test_data, split_of

METRIC = "val/accuracy"
DIRECTIONS: tuple[Direction, Direction] = ("min", "max")


def resolve_metric(records: Iterable[Record], metric: str) -> str:
    """The metric itself; the default means RMSE where all records are of regressions, or what all were ranked by."""
    records = list(records)
    known = {name for record in records for name in record.metrics}
    if metric != METRIC or METRIC in known:
        return metric
    ranked_by = {record.metric for record in records if record.metric}
    stated = ranked_by.pop() if len(ranked_by) == 1 else metric
    return "val/rmse" if "val/rmse" in known else stated


def find_split(records: Iterable[Record], metric: str) -> str | None:
    """On which part of the data it is measured, `train`, `val` or `test`; None of a curve that is no metric."""
    found = (split for record in records if (split := split_of(metric, record.splits)) is not None)
    return next(found, split_of(metric, {}))


def check_metric(records: Iterable[Record], metric: str) -> None:
    """Refuses what arms cannot be ranked by. Runs without any metric, as when none has got that far, raise nothing.

    Raises:
        UserError: no run has the metric, or it is not measured on validation data.

    """
    known = sorted({name for record in records for name in record.metrics if split_of(name, record.splits) == "val"})
    if metric in known:
        return
    twin = f"val/{metric.rpartition('/')[2]}"
    hint = did_you_mean(twin if twin in known else metric, known)
    if not metric.startswith("val/"):
        raise UserError(f"metric must be a validation metric, as in {METRIC}, got {metric}{hint}")
    if known:
        raise UserError(f"no run has the metric {metric}{hint}; there are {', '.join(known)}")


def metric_direction(records: Iterable[Record], metric: str, given: Direction | None = None) -> Direction:
    """Whether small (`min`) or large (`max`) values of a metric are better; `given` by the user, it decides.

    Raises:
        UserError: nobody says, the runs disagree, or what is given contradicts the table of metrics.

    """
    records = list(records)
    found = find_direction(records, metric)
    if find_metric(metric) and given not in (None, found):
        raise UserError(f"direction must be {found} for {metric}, got {given}")
    direction = given or found
    if direction is None:
        remedy = f"give --direction min or --direction max, or train with metric={metric} metric_direction=min or max"
        raise UserError(f"{why_no_direction(records, metric)}; {remedy}")
    return direction


def find_direction(records: Iterable[Record], metric: str) -> Direction | None:
    """As the table of metrics says, or else all runs that say anything; None where nobody does or they disagree."""
    known = find_metric(metric)
    if known is not None:
        return known.direction
    stated = _stated(records, metric)
    return stated[0] if len(stated) == 1 else None


def why_no_direction(records: Iterable[Record], metric: str) -> str:
    """One line, for a metric for which `find_direction` gives None."""
    if len(_stated(records, metric)) > 1:
        return f"the runs disagree whether {metric} is better small or large"
    return f"it is not known whether {metric} is better small or large"


def _stated(records: Iterable[Record], metric: str) -> Sequence[Direction]:
    """What the runs say of the metric, or of its twin on validation data."""
    stated = {r.metric_direction for r in records if r.metric and metric in (r.metric, on_test_data(r.metric))}
    return [direction for direction in DIRECTIONS if direction in stated]

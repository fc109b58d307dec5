"""Prints the ranked arms of a sweep: one row for each arm, and a footer that says how to read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakeoff.report.arms import differing_keys
from bakeoff.report.footer import footer
from bakeoff.report.metric import METRIC, metric_direction
from bakeoff.report.ranking import UNREADABLE, Row, rank_arms
from bakeoff.report.records import Record, UnreadableRun
from bakeoff.report.table import Column, number_format, shorten, text_table, visible
from bakeoff.runs.metrics import Direction, on_test_data
from bakeoff.stats import Estimate

KEY_WIDTH = 20
NONE = "-"
COUNTED = {"completed": "compl", "diverged": "div", "failed": "fail"}
COUNTED_IF_ANY = {"interrupted": "intr", "running": "run", UNREADABLE: UNREADABLE}


def render(
    records: Sequence[Record],
    unreadable: Sequence[UnreadableRun] = (),
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
    tuning_note: str | None = None,
) -> str:
    """The leaderboard of a sweep as plain text.

    The arms' choices have one column for each key and not one name, which keeps 3 choices within 120 columns.
    Runs that could not be read (`unreadable`) are counted in their arm and named in the footer; `metric` ranks and
    is shown beside its test twin; `direction` says whether small or large values are better, where the runs do not say;
    `tuning_note` says in the user's words how what is not compared was chosen.

    Raises:
        UserError: `metric` is not a validation metric, no run has it, or its direction is not known.

    """
    rows = rank_arms(records, unreadable, metric=metric, direction=direction)
    table = text_table(_columns(rows, metric), rows)
    direction = metric_direction(records, metric, direction)
    return f"{table}\n\n{footer(rows, records, unreadable, metric, direction, tuning_note)}\n"


def _columns(rows: Sequence[Row], metric: str) -> list[Column[Row]]:
    counted = COUNTED | {k: short for k, short in COUNTED_IF_ANY.items() if any(row.counts[k] for row in rows)}
    return [
        Column("rank", _rank, "right"),
        *_choice_columns(rows),
        Column(visible(metric), lambda row: _estimate(row.validation), "right"),
        Column(visible(on_test_data(metric)), lambda row: _estimate(row.test), "right"),
        *(Column(short, _count(status), "right") for status, short in counted.items()),
        Column("steps", lambda row: _amount(row.steps, ".0f"), "right"),
        Column("samples", lambda row: _amount(row.samples, ".0f"), "right"),
        Column("seconds", lambda row: _amount(row.seconds, ".1f"), "right"),
    ]


def _choice_columns(rows: Sequence[Row]) -> list[Column[Row]]:
    # in the order of the folders, so that a change of rank never moves a column
    by_folder = sorted(rows, key=lambda row: row.arm.folder)
    keys = differing_keys([row.arm.overrides for row in by_folder])
    if not keys:
        return [Column("arm", lambda row: row.arm.name)]
    return [Column(shorten(visible(key), KEY_WIDTH), _choice(key, is_first=key == keys[0])) for key in keys]


def _choice(key: str, *, is_first: bool) -> Callable[[Row], str]:
    return lambda row: row.arm.choices.get(key, NONE) + (row.arm.suffix if is_first else "")


def _count(status: str) -> Callable[[Row], str]:
    return lambda row: str(row.counts[status])


def _rank(row: Row) -> str:
    if row.rank is None:
        return NONE
    mark = "" if not row.too_close else "= " if row.shared_seeds > 1 else "? "
    return f"{mark}{row.rank}"


def _amount(amount: float | None, form: str) -> str:
    return NONE if amount is None else format(amount, form)


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    form = number_format(estimate.mean)
    mean = format(estimate.mean, form)
    return mean if estimate.half_width is None else f"{mean}±{estimate.half_width:{form}}"

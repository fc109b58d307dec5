"""Print the ranked arms of a sweep: one row an arm, and a footer that says how to read it."""

from collections.abc import Sequence

from bakeoff.report.arms import differing_keys
from bakeoff.report.footer import footer
from bakeoff.report.ranking import LOST, METRIC, Row, on_test_data, rank_arms
from bakeoff.report.records import Problem, Record
from bakeoff.report.table import number_format, shorten, text_table, visible
from bakeoff.stats import Estimate

KEY_WIDTH = 20
COUNTED = {"completed": "compl", "diverged": "div", "failed": "fail"}
COUNTED_IF_ANY = {"interrupted": "intr", "running": "run", LOST: "lost"}


def render(
    records: Sequence[Record],
    problems: Sequence[Problem] = (),
    *,
    metric: str = METRIC,
    policy: str | None = None,
) -> str:
    """The leaderboard of a sweep as plain text.

    The arms' choices stand in one column a key and not in one name, which keeps 3 choices within 120 columns. Runs
    that could not be read (`problems`) are counted in their arm and named in the footer; `metric` ranks and stands
    beside its test twin; `policy` says in the user's words how the sweep was set up.

    Raises UserError when `metric` is not a validation metric, or no run has it.
    """
    rows = rank_arms(records, problems, metric=metric)
    # in the order of the folders, so that a change of rank never moves a column
    by_folder = sorted(rows, key=lambda row: row.arm.folder)
    keys = differing_keys([row.arm.overrides for row in by_folder])
    counted = COUNTED | {k: short for k, short in COUNTED_IF_ANY.items() if any(row.counts[k] for row in rows)}
    choices = [shorten(visible(key), KEY_WIDTH) for key in keys] or ["arm"]
    numbers = [
        visible(metric),
        visible(on_test_data(metric)),
        *counted.values(),
        "steps",
        "samples",
        "seconds",
    ]
    table = text_table(
        [["rank", *choices, *numbers]]
        + [[_rank(row), *_choices(row, keys), *_numbers(row, list(counted))] for row in rows],
        right=[True] + [False] * len(choices) + [True] * len(numbers),
    )
    return f"{table}\n\n{footer(rows, records, problems, metric, policy)}\n"


def _rank(row: Row) -> str:
    if row.rank is None:
        return "-"
    mark = "" if not row.too_close else "= " if row.shared_seeds > 1 else "? "
    return f"{mark}{row.rank}"


def _choices(row: Row, keys: Sequence[str]) -> list[str]:
    if not keys:
        return [row.arm.name]
    first, *others = (row.arm.choices.get(key, "-") for key in keys)
    return [first + row.arm.suffix, *others]


def _numbers(row: Row, counted: Sequence[str]) -> list[str]:
    return [
        _estimate(row.validation),
        _estimate(row.test),
        *(str(row.counts[status]) for status in counted),
        *("-" if amount is None else f"{amount:.0f}" for amount in (row.steps, row.samples)),
        "-" if row.seconds is None else f"{row.seconds:.1f}",
    ]


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    form = number_format(estimate.mean)
    mean = format(estimate.mean, form)
    return mean if estimate.half_width is None else f"{mean}±{estimate.half_width:{form}}"

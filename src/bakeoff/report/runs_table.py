"""The runs of a sweep as text: a row each, and what went wrong in full."""

from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.counts import by_status
from bakeoff.report.filters import DEFAULT
from bakeoff.report.records import Record, Sweep
from bakeoff.report.table import number_format, shorten, text_table, visible

KEY_WIDTH = 20
ERROR_WIDTH = 40
NONE = "-"


def runs_table(sweep: Sweep, picked: Sequence[Record], metric: str) -> str:
    """The `picked` runs, their number by status, and the runs that could not be read.

    Columns are the choices that differ in the whole sweep: they stay the same whatever is picked.
    """
    arms = {arm.folder: arm for arm in group_arms(sweep.records)}
    keys = list(dict.fromkeys(key for arm in arms.values() for key in arm.choices))
    choices = [shorten(visible(key), KEY_WIDTH) for key in keys] or ["arm"]
    header = [*choices, "seed", "status", visible(metric), "steps", "seconds", "error"]
    rows = [[*_choices(arms[r.folder], keys), *_cells(r, metric)] for r in picked]
    table = text_table([header, *rows], right=[*(False for _ in choices), True, False, True, True, True, False])
    of = "" if len(picked) == len(sweep.records) else f"; in the whole sweep {len(sweep.records)}"
    lost = [f"lost: {visible(f'{problem.path}: {problem.reason}')}" for problem in sweep.problems]
    return "\n".join([table, "", f"runs: {by_status(picked, sweep.problems)}{of}", *lost]) + "\n"


def _choices(arm: Arm, keys: Sequence[str]) -> list[str]:
    if not keys:
        return [arm.name]
    first, *others = (arm.choices.get(key, DEFAULT) for key in keys)
    return [first + arm.suffix, *others]


def _cells(record: Record, metric: str) -> list[str]:
    value = record.final(metric)
    is_told = record.status != "running" and (record.ended or record.steps)  # a process that is gone told nothing
    return [
        str(record.seed),
        status_of(record),
        NONE if value is None else format(value, number_format(value)),
        str(record.steps) if is_told else NONE,
        f"{record.seconds:.1f}" if is_told else NONE,
        shorten(error_of(record), ERROR_WIDTH),
    ]


def status_of(record: Record) -> str:
    """`running 43%` while it is, where that is known."""
    return record.status if record.share is None else f"{record.status} {record.share:.0%}"


def error_of(record: Record) -> str:
    """`ValueError: first line of its message (step 7)`; empty where there was none."""
    error: Mapping[str, Any] = record.error or {}
    first = next(iter(str(error.get("message") or "").splitlines()), "")
    text = ": ".join(visible(part) for part in (str(error.get("type") or ""), first) if part)
    step = error.get("step")
    return text if step is None else f"{text} (step {visible(str(step))})"


def errors_in_full(sweep: Sweep, picked: Sequence[Record]) -> str:
    """Of each run that went wrong, what it was, and its traceback where there is one."""
    names = {arm.folder: arm.name for arm in group_arms(sweep.records)}
    wrong = [record for record in picked if _went_wrong(record)]
    told = [f"{names[r.folder]}, seed={r.seed}: {r.status}\n{_in_full(r)}\n" for r in wrong]
    return "\n".join(told) or "no run went wrong\n"


def _went_wrong(record: Record) -> bool:
    """Not so where it was stopped; but a disk that was full has a traceback."""
    return bool(record.error and (record.status != "interrupted" or record.error.get("traceback")))


def _in_full(record: Record) -> str:
    error: Mapping[str, Any] = record.error or {}
    text = error.get("traceback") or f"{error.get('type')}: {error.get('message')}"
    step = "" if error.get("step") is None else f"\n(step {visible(str(error['step']))})"
    return "\n".join(map(visible, str(text).rstrip().split("\n"))) + step

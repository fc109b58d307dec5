"""The runs of a sweep as text: a row for each, and what went wrong in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bakeoff.report.arms import Arm, group_arms
from bakeoff.report.counts import by_status
from bakeoff.report.filters import DEFAULT
from bakeoff.report.records import Record, Sweep
from bakeoff.report.table import Column, number_format, shorten, text_table, visible

KEY_WIDTH = 20
ERROR_WIDTH = 40
NONE = "-"


def runs_table(sweep: Sweep, picked: Sequence[Record], metric: str) -> str:
    """The `picked` runs, their number by status, and the runs that could not be read.

    Columns are the choices that differ in the whole sweep: they stay the same whatever is picked.
    """
    columns = [
        *_choice_columns(group_arms(sweep.records)),
        Column("seed", lambda run: str(run.seed), "right"),
        Column("status", status_of),
        Column(visible(metric), lambda run: _number(run.final(metric)), "right"),
        Column("steps", lambda run: str(run.steps) if _has_spent(run) else NONE, "right"),
        Column("seconds", lambda run: f"{run.seconds:.1f}" if _has_spent(run) else NONE, "right"),
        Column("error", lambda run: shorten(error_of(run), ERROR_WIDTH)),
    ]
    of = "" if len(picked) == len(sweep.records) else f"; in the whole sweep {len(sweep.records)}"
    counts = f"runs: {by_status(picked, sweep.unreadable)}{of}"
    unreadable = [f"unreadable: {visible(f'{run.path}: {run.reason}')}" for run in sweep.unreadable]
    return "\n".join([text_table(columns, picked), "", counts, *unreadable]) + "\n"


def _choice_columns(arms: Sequence[Arm]) -> list[Column[Record]]:
    of_folder = {arm.folder: arm for arm in arms}
    keys = list(dict.fromkeys(key for arm in arms for key in arm.choices))
    if not keys:
        return [Column("arm", lambda run: of_folder[run.folder].name)]
    return [Column(shorten(visible(key), KEY_WIDTH), _choice(key, of_folder, key == keys[0])) for key in keys]


def _choice(key: str, of_folder: Mapping[str, Arm], is_first: bool) -> Callable[[Record], str]:
    def cell(run: Record) -> str:
        arm = of_folder[run.folder]
        return arm.choices.get(key, DEFAULT) + (arm.suffix if is_first else "")

    return cell


def _number(value: float | None) -> str:
    return NONE if value is None else format(value, number_format(value))


def _has_spent(run: Record) -> bool:
    """Whether its outcome says what it spent: written when it ends, so not by a process that has died."""
    return run.status != "running" and bool(run.ended or run.steps)


def status_of(run: Record) -> str:
    """`running 43%` while it is, where that is known."""
    return run.status if run.fraction_done is None else f"{run.status} {run.fraction_done:.0%}"


def error_of(run: Record) -> str:
    """`ValueError: first line of its message (step 7)`; empty where there was none."""
    error: Mapping[str, Any] = run.error or {}
    first = next(iter(str(error.get("message") or "").splitlines()), "")
    text = ": ".join(visible(part) for part in (str(error.get("type") or ""), first) if part)
    step = error.get("step")
    return text if step is None else f"{text} (step {visible(str(step))})"


def errors_in_full(sweep: Sweep, picked: Sequence[Record]) -> str:
    """Of each run that went wrong, what it was, and its traceback where there is one."""
    names = {arm.folder: arm.name for arm in group_arms(sweep.records)}
    bad = [run for run in picked if _went_wrong(run)]
    errors = [f"{names[run.folder]}, seed={run.seed}: {run.status}\n{_error_in_full(run)}\n" for run in bad]
    return "\n".join(errors) or f"no run {'that can be read ' if sweep.unreadable else ''}went wrong\n"


def _went_wrong(run: Record) -> bool:
    """Not so where it was stopped; but a disk that was full has a traceback."""
    return bool(run.error and (run.status != "interrupted" or run.error.get("traceback")))


def _error_in_full(run: Record) -> str:
    error: Mapping[str, Any] = run.error or {}
    text = error.get("traceback") or f"{error.get('type')}: {error.get('message')}"
    step = "" if error.get("step") is None else f"\n(step {visible(str(error['step']))})"
    return "\n".join(map(visible, str(text).rstrip().split("\n"))) + step

"""The table below the answer: how much better the leading level of each choice is, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.report.effects import ChoiceEffect
from bakeoff.report.table import Column, number_format, shorten, text_table, visible
from bakeoff.stats import Comparison, decide
from bakeoff.stats.decision import Decision

WIDTH = 24
MAX_NAMED = 3  # settings that are left out
SAYS: dict[Decision, str] = {
    "better": "better",
    "undecided": "too close to call",
    "same": "practically the same",
    "worse": "worse",
}


@dataclass(frozen=True)
class _Line:
    """The leading level of a choice against another; `where` is a setting of the other choices, empty for all."""

    effect: ChoiceEffect
    level: str
    comparison: Comparison
    settings: int
    says: str
    where: str = ""


def effects_table(effects: Sequence[ChoiceEffect]) -> str:
    """One row for each level but the leading one, and a line for what is left out."""
    lines = [line for effect in effects for line in _lines(effect)]
    return "\n".join([text_table(_columns(lines), lines), *(line for effect in effects for line in _left_out(effect))])


def amount(comparison: Comparison, form: str | None = None) -> str:
    """How much better the first is, in the metric's units."""
    gap = comparison.difference
    return "-" if gap is None else format(gap.mean, form or number_format(gap.mean))


def _lines(effect: ChoiceEffect) -> Iterator[_Line]:
    """Below a level that depends on the setting are those of the settings."""
    for gap in effect.gaps():
        says = "bad ends" if gap.barred else _says(gap.comparison, gap.says)
        yield _Line(effect, gap.level, gap.comparison, len(gap.differences.settings), says)
        if gap.depends:
            for setting, found in gap.differences.per_setting(generator=np.random.default_rng(0)).items():
                yield _Line(effect, gap.level, found, 1, _says(found, decide(found)), where=effect.describe(setting))


def _says(comparison: Comparison, says: Decision) -> str:
    return SAYS[says] if _seeds(comparison) > 1 else "too few seeds"


def _columns(lines: Sequence[_Line]) -> list[Column[_Line]]:
    gaps = [abs(line.comparison.difference.mean) for line in lines if line.comparison.difference is not None]
    form = number_format(max(gaps, default=0.0))
    return [
        Column("choice", lambda line: f"  at {line.where}" if line.where else shorten(visible(line.effect.key), WIDTH)),
        Column("level", lambda line: line.effect.leader or "-"),
        Column("than", lambda line: line.level),
        Column("better by", lambda line: amount(line.comparison, form), "right"),
        Column("95% interval", lambda line: _interval(line.comparison, form), "right"),
        Column("says", lambda line: line.says),
        Column("seeds", lambda line: str(_seeds(line.comparison)), "right"),
        Column("settings", lambda line: str(line.settings), "right"),
    ]


def _seeds(comparison: Comparison) -> int:
    return 0 if comparison.difference is None else comparison.difference.n


def _interval(comparison: Comparison, form: str) -> str:
    low, high = comparison.low, comparison.high
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _left_out(effect: ChoiceEffect) -> Iterator[str]:
    for gap in effect.gaps():
        found = [effect.describe(setting) for setting in gap.differences.dropped_settings]
        shown = found[:MAX_NAMED] + ([f"{len(found) - MAX_NAMED} more settings"] if len(found) > MAX_NAMED else [])
        shown += [f"seed {seed}" for seed in gap.differences.dropped_seeds]
        if not gap.differences.settings:
            shown = ["all settings"]
        if shown:
            what = f"{visible(effect.key)}: {effect.leader} than {gap.level}"
            yield f"left out of {what}, for runs that are missing or ended badly: {'; '.join(shown)}"

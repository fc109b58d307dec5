"""The first lines of a leaderboard: which level of each choice is the better one, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.report.arms import group_arms
from bakeoff.report.effects import ChoiceEffect, choice_effects
from bakeoff.report.metric import METRIC, metric_direction
from bakeoff.report.record import Record
from bakeoff.report.table import Column, number_format, shorten, text_table, visible
from bakeoff.runs.metrics import Direction
from bakeoff.stats import Comparison, decide
from bakeoff.stats.decision import Decision

WIDTH = 24
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
    says: Decision
    where: str = ""


def render_answer(records: Sequence[Record], *, metric: str = METRIC, direction: Direction | None = None) -> str:
    """`answer` for the runs of a sweep; empty where nothing can be said, such as for a single arm.

    Raises:
        UserError: it is not known which values of the metric are better.

    """
    return answer(choice_effects(group_arms(records), metric, metric_direction(records, metric, direction)), metric)


def answer(effects: Sequence[ChoiceEffect], metric: str) -> str:
    """A sentence for each choice, and the differences that it rests on; empty where nothing was compared."""
    if not effects:
        return ""
    lines = [line for effect in effects for line in _lines(effect)]
    return "\n".join(
        [
            *(sentence(effect) for effect in effects),
            "",
            f"on {visible(metric)}, each choice over all settings of the others:",
            text_table(_columns(lines), lines),
        ]
    )


def sentence(effect: ChoiceEffect) -> str:
    """`loss: mse is best, by 0.0091 over cross_entropy and 0.0088 over hinge (3 seeds)`."""
    return f"{visible(effect.key)}: {_finding(effect)}"


def _finding(effect: ChoiceEffect) -> str:
    if effect.leader is None:
        return "no run ended well"
    best, gaps = effect.best, effect.gaps()
    if effect.seeds < 2:
        return f"{effect.leader} is ahead; with fewer than 2 seeds nothing says how sure that is"
    seeds = f"{effect.seeds} seeds"
    if any(gap.depends for gap in gaps):
        others = _and([*map(visible, effect.others)])
        return f"how far {effect.leader} is ahead depends on {others} ({seeds}); each setting by itself is below"
    if len(best) == 1:
        return (
            f"{effect.leader} is best, by {_and([f'{_by(gap.comparison)} over {gap.level}' for gap in gaps])} ({seeds})"
        )
    behind = [f"; {gap.level} is worse, by {_by(gap.comparison)}" for gap in gaps if gap.says == "better"]
    shown = effect.detectable()
    power = "" if shown is None else f", which show differences from {format(shown, number_format(shown))} on"
    return f"too close to call among {_and(best)} at {seeds}{power}{''.join(behind)}"


def _lines(effect: ChoiceEffect) -> Iterator[_Line]:
    """One for each level but the leader; below one that depends on the setting those of the settings."""
    for gap in effect.gaps():
        yield _Line(effect, gap.level, gap.comparison, len(gap.differences.settings), gap.says)
        if gap.depends:
            for setting, found in gap.differences.per_setting(generator=np.random.default_rng(0)).items():
                yield _Line(effect, gap.level, found, 1, decide(found), where=effect.describe(setting))


def _columns(lines: Sequence[_Line]) -> list[Column[_Line]]:
    gaps = [abs(line.comparison.difference.mean) for line in lines if line.comparison.difference is not None]
    form = number_format(max(gaps, default=0.0))
    return [
        Column("choice", lambda line: f"  at {line.where}" if line.where else shorten(visible(line.effect.key), WIDTH)),
        Column("ahead", lambda line: line.effect.leader or "-"),
        Column("of", lambda line: line.level),
        Column("by", lambda line: _by(line.comparison, form), "right"),
        Column("95% interval", lambda line: _interval(line.comparison, form), "right"),
        Column("says", _says),
        Column("seeds", lambda line: str(_seeds(line.comparison)), "right"),
        Column("settings", lambda line: str(line.settings), "right"),
    ]


def _says(line: _Line) -> str:
    return SAYS[line.says] if _seeds(line.comparison) > 1 else "too few seeds"


def _seeds(comparison: Comparison) -> int:
    return 0 if comparison.difference is None else comparison.difference.n


def _by(comparison: Comparison, form: str | None = None) -> str:
    gap = comparison.difference
    return "-" if gap is None else format(gap.mean, form or number_format(gap.mean))


def _interval(comparison: Comparison, form: str) -> str:
    low, high = comparison.low, comparison.high
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _and(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)

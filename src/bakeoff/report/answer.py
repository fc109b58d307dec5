"""The first lines of a leaderboard: which level of each choice is the better one, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bakeoff.report.arms import group_arms
from bakeoff.report.effects import ChoiceEffect, Gap, choice_effects
from bakeoff.report.effects_table import amount, effects_table
from bakeoff.report.metric import METRIC, metric_direction
from bakeoff.report.record import Record
from bakeoff.report.table import number_format, visible
from bakeoff.runs.metrics import Direction


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
    return "\n".join(
        [
            *(sentence(effect) for effect in effects),
            "",
            f"on {visible(metric)}, each choice over all settings of the others:",
            effects_table(effects),
        ]
    )


def sentence(effect: ChoiceEffect) -> str:
    """`loss: mse is best, by 0.0091 over cross_entropy and 0.0088 over hinge (3 seeds)`."""
    return f"{visible(effect.key)}: {_finding(effect)}"


def _finding(effect: ChoiceEffect) -> str:
    if effect.leader is None:
        return "no run ended well"
    gaps = [gap for gap in effect.gaps() if gap.comparison.difference is not None]
    return "; ".join([_head(effect, gaps), *_notes(effect, gaps)])


def _head(effect: ChoiceEffect, gaps: Sequence[Gap]) -> str:
    seeds = f"{effect.seeds} seeds"
    if effect.seeds < 2:
        return f"{effect.leader} is ahead; with fewer than 2 seeds nothing says how sure that is"
    if any(gap.depends for gap in gaps):
        others = _and([*map(visible, effect.others)])
        return f"how far {effect.leader} is ahead depends on {others} ({seeds}); each setting by itself is below"
    if len(effect.best) == 1:
        ahead = _and([f"{amount(gap.comparison)} over {gap.level}" for gap in gaps])
        return f"{effect.leader} is best, by {ahead} ({seeds})"
    barred = [gap.level for gap in gaps if gap.barred]
    close = [level for level in effect.best if level not in barred]
    if len(close) == 1:
        return f"not decided between {effect.leader} and {_and(barred)} ({seeds})"
    shown = effect.detectable()
    power = "" if shown is None else f", which would show differences of {format(shown, number_format(shown))} or more"
    return f"too close to call among {_and(close)} at {seeds}{power}"


def _notes(effect: ChoiceEffect, gaps: Sequence[Gap]) -> Iterator[str]:
    for gap in gaps:
        if gap.says == "better" and len(effect.best) > 1:
            yield f"{gap.level} is worse, by {amount(gap.comparison)}"
        if gap.barred:
            yield f"{gap.level} is better by {amount(gap.comparison.swapped())} where its runs ended well"
    compared = {effect.leader, *(gap.level for gap in gaps)}
    for level, (bad, runs) in effect.bad_ends.items():
        if bad:
            yield f"{bad} of {runs} runs of {level} ended badly"
        elif level not in compared:
            yield f"{level} has no run to compare"


def _and(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)

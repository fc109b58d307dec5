"""The lines below a leaderboard: what was spent, what the columns mean, and what went wrong."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence

from bakeoff.report.arms import common_choices, differing_keys
from bakeoff.report.counts import by_status
from bakeoff.report.ranking import Row
from bakeoff.report.records import Record, UnreadableRun
from bakeoff.report.table import shorten, visible
from bakeoff.runs.metrics import Direction
from bakeoff.stats import paired_difference

WIDTH = 110
QUANTITIES: dict[str, Callable[[Record], float]] = {
    "optimizer steps": lambda record: record.steps,
    "epochs": lambda record: record.epochs,
    "samples": lambda record: record.samples,
}


def footer(
    rows: Sequence[Row],
    records: Sequence[Record],
    unreadable: Sequence[UnreadableRun],
    metric: str,
    direction: Direction,
    tuning_note: str | None,
) -> str:
    """Lines of at most 110 columns, but for those that name a run that could not be read."""
    arms = [row.arm.overrides for row in rows]
    common = ", ".join(f"{visible(key)}={value}" for key, value in common_choices(arms).items())
    prose = [
        f"budget: {budget(records)}",
        *([f"common to all arms: {common}"] if common else []),
        *([f"tuning note: {visible(line)}" for line in tuning_note.splitlines()] if tuning_note else []),
        *_how_to_read(rows, metric, direction),
        *(f"caution: {text}" for text in cautions(rows, records, metric)),
        f"runs: {by_status(records, unreadable)}",
    ]
    # not wrapped, so that a path can be copied
    named = [f"unreadable: {visible(str(run.path))}: {shorten(visible(run.reason), WIDTH)}" for run in unreadable]
    return "\n".join([*(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in prose), *named])


def budget(records: Iterable[Record]) -> str:
    """What the completed runs spent: one number where they agree, a range where they do not."""
    completed = [record for record in records if record.status == "completed"]
    if not completed:
        return "no run completed"
    equal, differing = [], []
    for unit, of in QUANTITIES.items():
        low, high = min(map(of, completed)), max(map(of, completed))
        if low == high:
            equal.append(f"{_amount(low)} {unit}")
        else:
            differing.append(f"{unit} ({_amount(low)} to {_amount(high)})")
    parts = [f"every completed run: {', '.join(equal)}"] if equal else []
    parts += [f"differing between runs: {', '.join(differing)}"] if differing else []
    return "; ".join(parts)


def _amount(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.4g}"  # only epochs can be fractions


def _how_to_read(rows: Sequence[Row], metric: str, direction: Direction) -> list[str]:
    sizes = [row.validation.n for row in rows if row.validation is not None]
    seeds = _seeds(min(sizes), max(sizes)) if sizes else "no completed run"
    better = "lower" if direction == "min" else "higher"
    return [
        f"{visible(metric)}: final value on validation data, {better} is better; mean ± 95% Student t "
        f"interval over {seeds}; test data chose nothing",
        *_explain_marks(sum(row.rank is not None for row in rows)),
        "diverged and failed runs are counted, never averaged in; an arm with a run that did not complete "
        "comes last and has no rank",
        "steps, samples, seconds: mean over completed runs; -: no value, or a choice left at its default",
    ]


def _explain_marks(ranked: int) -> list[str]:
    if ranked == 0:
        return ["no arm completed all its runs: none is the best"]
    if ranked == 1:
        return []
    pairs = f"all {math.comb(ranked, 2)} pairs of arms at once" if ranked > 2 else "the two arms"
    return [
        f"=: may be the best as well: no arm is sure to be better, at 95% for {pairs}, paired by seed; "
        "?: fewer than 2 seeds shared with the first, so that nothing is sure"
    ]


def cautions(rows: Sequence[Row], records: Sequence[Record], metric: str) -> list[str]:
    """What may mislead in these rows."""
    arms = [row.arm.overrides for row in rows]
    missing = sum(record.status == "completed" and record.final(metric) is None for record in records)
    seeds = {tuple(record.seed for record in row.arm.records) for row in rows}
    losses_differ = any(key == "loss" or key.startswith("loss.") for key in differing_keys(arms))
    no_spread = sum(_same_gap_everywhere(row, rows[0], metric) for row in rows if row.rank is not None)
    found = {
        f"{no_spread} arm(s) differ from the best by the same amount in every seed: an interval of no width shows that "
        f"{visible(metric)} is coarse, not that the difference is sure": no_spread > 0,
        f"{missing} completed run(s) have no finite {visible(metric)}": missing > 0,
        "the arms do not have the same seeds; differences are paired over those they share": len(seeds) > 1,
        "val/loss measures something else under each loss; rank by another metric": (
            metric == "val/loss" and losses_differ
        ),
    }
    return [text for text, applies in found.items() if applies]


def _same_gap_everywhere(row: Row, best: Row, metric: str) -> bool:
    """Whether seeds show no spread in a difference, as happens where a metric counts a few hundred examples."""
    gap = paired_difference(row.arm.completed(metric), best.arm.completed(metric))
    if gap is None or gap.half_width is None:
        return False
    return gap.half_width < 1e-3 * abs(gap.mean)  # recorded metrics are float32


def _seeds(low: int, high: int) -> str:
    if low == high == 1:
        return "1 seed (no interval)"
    return f"{low} seeds" if low == high else f"{low} to {high} seeds"

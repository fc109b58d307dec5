"""What a sweep says, for programs: `bakeoff-report SWEEP --json`, in the form of `verdict.schema.json`.

Differences are how much better the one is than the other, in the metric's units, whether large or small values are
better.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from bakeoff.report.answer import sentence
from bakeoff.report.arms import group_arms
from bakeoff.report.effects import ChoiceEffect, Gap, choice_effects, signed_values
from bakeoff.report.footer import cautions
from bakeoff.report.metric import METRIC, metric_direction
from bakeoff.report.ranking import Row, rank_arms, stand
from bakeoff.report.records import Sweep
from bakeoff.report.repeat import command_of
from bakeoff.report.standing import Standing
from bakeoff.runs.metrics import Direction
from bakeoff.stats import Comparison, Estimate, count_wins
from bakeoff.stats.interval import LEVEL

SCHEMA = 1
Json = dict[str, Any]


def verdict_text(sweep: Sweep, *, metric: str = METRIC, direction: Direction | None = None) -> str:
    """`verdict_json` as text."""
    found = verdict_json(sweep, metric=metric, direction=direction)
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def verdict_json(sweep: Sweep, *, metric: str = METRIC, direction: Direction | None = None) -> Json:
    """The arms of a sweep, which of them may be the best, and what each choice changes.

    Raises:
        UserError: `metric` is not a validation metric, no run has it, or its direction is not known.

    """
    records = sweep.records
    direction = metric_direction(records, metric, direction)
    rows = rank_arms(records, sweep.unreadable, metric=metric, direction=direction)
    found = stand(rows, metric, direction)
    effects = choice_effects(group_arms(records), metric, direction)
    return {
        "schema": SCHEMA,
        "question": {"metric": metric, "direction": direction, "level": LEVEL},
        "set_of_best": [row.arm.folder for row in rows if found is not None and row.arm.folder in found.best],
        "arms": [_arm(row, metric) | {"behind_first": _behind(row, rows[0], found, metric, direction)} for row in rows],
        "main_effects": [_effect(effect) for effect in effects],
        "cautions": cautions(rows, records, metric),
        "tuning_note": sweep.tuning_note,
        "unreadable": [{"run": str(run.path), "reason": run.reason} for run in sweep.unreadable],
    }


def schema() -> Json:
    """The JSON Schema of a verdict."""
    text = (files("bakeoff.report") / "verdict.schema.json").read_text("utf-8")
    found: Json = json.loads(text)
    return found


def _behind(row: Row, first: Row, found: Standing | None, metric: str, direction: Direction) -> Json | None:
    gap = None if found is None else found.gaps.get(row.arm.folder)
    return None if gap is None else _gap(gap) | _wins(first, row, metric, direction)


def _arm(row: Row, metric: str) -> Json:
    arm, values = row.arm, row.arm.completed(metric)
    return {
        "arm": arm.name,
        "folder": arm.folder,
        "choices": dict(arm.overrides),
        "rank": row.rank,
        "counts": dict(row.counts),
        "values": {str(seed): value for seed, value in values.items()},
        "validation": _estimate(row.validation),
        "test": _estimate(row.test),
        "costs": {"steps": row.steps, "samples": row.samples, "seconds": row.seconds},
        "command": command_of(arm.records[0]),
    }


def _wins(first: Row, row: Row, metric: str, direction: Direction) -> Json:
    """In how many seeds the first is ahead."""
    found = count_wins(*(signed_values(one.arm, metric, direction) for one in (first, row)))
    return {"wins": found.wins, "losses": found.losses, "ties": found.ties}


def _effect(effect: ChoiceEffect) -> Json:
    return {
        "choice": effect.key,
        "says": sentence(effect),
        "leader": effect.leader,
        "set_of_best": effect.best,
        "bad_ends": {level: {"bad": bad, "runs": runs} for level, (bad, runs) in effect.bad_ends.items()},
        "levels": [_level(gap) for gap in effect.gaps()],
    }


def _level(gap: Gap) -> Json:
    differences = gap.differences
    found = differences.interaction
    return {
        "level": gap.level,
        "behind_leader": _gap(gap.comparison) | {"says": gap.says, "barred": gap.barred},
        "settings": len(differences.settings),
        "settings_left_out": len(differences.dropped_settings),
        "seeds_left_out": list(differences.dropped_seeds),
        "interaction": None if found is None else {"spread": found.spread, "p": found.p, "large": gap.depends},
    }


def _gap(comparison: Comparison) -> Json:
    """`low`, `high` and `p` hold for all comparisons at once; those of `alone` for this one."""
    alone = _estimate(comparison.difference)
    return {
        "low": comparison.low,
        "high": comparison.high,
        "p": comparison.p,
        "method": comparison.method,
        "alone": None if alone is None else alone | {"p": comparison.alone},
    }


def _estimate(estimate: Estimate | None) -> Json | None:
    if estimate is None:
        return None
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}

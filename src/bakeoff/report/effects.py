"""What each compared choice changes over all settings of the others: which loss, which optimizer, which batch size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.report.arms import Arm, as_cell, differing_keys, typed
from bakeoff.report.table import visible
from bakeoff.runs.metrics import Direction
from bakeoff.stats import Comparison, Contrast, MainEffect, decide, detectable_difference, main_effect
from bakeoff.stats.decision import Decision
from bakeoff.stats.interval import LEVEL

NONE = "-"  # a choice left at its default
BAD_ENDS = ("diverged", "failed")
MAX_LEVELS = 20
Level = str | None  # of a choice, with its type (`typed`)


@dataclass(frozen=True)
class Gap:
    """How much better the leading level of a choice is than another: `differences` are averaged over settings.

    `depends`: it varies so much with the other choices that each setting is to be looked at by itself, sure for all
    levels of the choice at once. `barred`: it is sure, but decides nothing, since runs of the one that is ahead ended
    badly.
    """

    level: str
    comparison: Comparison
    differences: Contrast
    says: Decision
    depends: bool
    barred: bool


@dataclass(frozen=True)
class ChoiceEffect:
    """One compared choice. `texts` maps its levels to what a table shows, in the order in which they are first met.

    `others` does so for each other choice; `bad_ends` says of each level how many of how many runs ended badly. A
    difference is how much better one level is than another, in the metric's units, whether large or small values are
    better.
    """

    key: str
    texts: Mapping[Level, str]
    effect: MainEffect
    others: Mapping[str, Mapping[Level, str]]
    bad_ends: Mapping[str, tuple[int, int]]

    @property
    def leader(self) -> str | None:
        """The level that is ahead of those with the fewest bad ends; None where no run ended well."""
        return next((text for level, text in self.texts.items() if level == self._leader), None)

    @property
    def _leader(self) -> Hashable:
        return self.effect.standings.leader

    @property
    def best(self) -> list[str]:
        """The levels that no other is sure to be better than, the leader first."""
        standings, first = self.effect.standings, self._leader
        behind = {level: standings.comparison(first, level).difference for level in self.texts if level != first}
        found = [level for level in self.texts if level in standings.best]
        found.sort(key=lambda level: gap.mean if (gap := behind.get(level)) else -math.inf)
        return [self.texts[level] for level in found]

    @property
    def seeds(self) -> int:
        """The fewest that a comparison rests on."""
        return min((gap.comparison.difference.n for gap in self.gaps() if gap.comparison.difference), default=0)

    def detectable(self) -> float | None:
        """The difference that these seeds show with 80% power, by the widest spread over seeds; None without one."""
        spreads = [statistics.stdev(d) for gap in self.gaps() if len(d := [*gap.differences.by_seed.values()]) > 1]
        pairs = math.comb(len(self.texts), 2)
        if not spreads or not max(spreads):
            return None
        return max(spreads) * detectable_difference(self.seeds, level=1 - (1 - LEVEL) / pairs)

    def gaps(self) -> list[Gap]:
        """The leader beside each other level."""
        others = [level for level in self.texts if level != self._leader and self.leader is not None]
        return [self._gap(level, certainty=1 - (1 - LEVEL) / len(others)) for level in others]

    def _gap(self, level: Level, certainty: float) -> Gap:
        standings, first, differences = self.effect.standings, self._leader, self._differences(level)
        depends = differences.interaction is not None and differences.interaction.large(certainty)
        comparison, says = standings.comparison(first, level), standings.decision(first, level)
        barred = says == "undecided" and decide(comparison) != says
        return Gap(self.texts[level], comparison, differences, says, depends, barred)

    def _differences(self, level: Level) -> Contrast:
        found = self.effect.contrasts.get((self._leader, level))
        return self.effect.contrasts[level, self._leader].swapped() if found is None else found

    def describe(self, setting: Sequence[Hashable]) -> str:
        """`optimizer=adam, loss=mse`: a setting of the other choices."""
        pairs = zip(self.others.items(), setting, strict=True)
        return ", ".join(f"{visible(key)}={_text_of(texts, level)}" for (key, texts), level in pairs)

    def is_crossed(self) -> bool:
        """Whether its levels meet in some setting of the other choices: else it has no effect by itself."""
        return any(contrast.by_setting for contrast in self.effect.contrasts.values())


def _text_of(texts: Mapping[Level, str], level: Hashable) -> str:
    return next(text for known, text in texts.items() if known == level)


def choice_effects(arms: Sequence[Arm], metric: str, direction: Direction) -> list[ChoiceEffect]:
    """The effect of each choice that differs between arms and whose levels meet in some setting of the others.

    Nothing where two arms make the same choices: which of them a setting is would be a guess. A choice of more than 20
    levels, such as rates that were drawn, is no choice between them.
    """
    keys = differing_keys([arm.overrides for arm in arms])
    values = {tuple(typed(arm.overrides, key) for key in keys): signed_values(arm, metric, direction) for arm in arms}
    if len(values) < len(arms):
        return []
    texts = {key: {typed(arm.overrides, key): _text(arm, key) for arm in arms} for key in keys}
    found = [
        ChoiceEffect(
            key,
            texts[key],
            main_effect(values, place, generator=np.random.default_rng(0)),
            {other: texts[other] for other in keys if other != key},
            {
                texts[key][level]: _bad_ends([arm for arm in arms if typed(arm.overrides, key) == level])
                for level in texts[key]
            },
        )
        for place, key in enumerate(keys)
        if len(texts[key]) <= MAX_LEVELS
    ]
    return [one for one in found if one.is_crossed()]


def _text(arm: Arm, key: str) -> str:
    return as_cell(arm.overrides[key]) if key in arm.overrides else NONE


def _bad_ends(arms: Sequence[Arm]) -> tuple[int, int]:
    runs = [run for arm in arms for run in arm.records]
    return sum(run.status in BAD_ENDS for run in runs), len(runs)


def signed_values(arm: Arm, metric: str, direction: Direction) -> dict[int, float | None]:
    """Seed -> final value, larger is better; None for a run that ended badly. Runs without an end are left out."""
    sign = -1.0 if direction == "min" else 1.0
    bad: dict[int, float | None] = {run.seed: None for run in arm.records if run.status in BAD_ENDS}
    return bad | {seed: sign * value for seed, value in arm.completed(metric).items()}

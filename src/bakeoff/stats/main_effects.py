"""What one choice changes, over all settings of the others: "which loss is best?", over optimizers and batch sizes.

    D_s = mean over r of (x_{a,r,s} - x_{b,r,s})        levels a and b, seed s, settings r of the other choices
    t   = mean(D) √S / s_D,    S - 1 degrees of freedom,  S seeds

Settings of one seed share weights and data. They are averaged within the seed, and only seeds count: R settings of S
seeds are not R·S independent values. The levels are compared as arms are, all pairs in one family
(`bakeoff.stats.family`). Fisher, "The Design of Experiments" (1935), chapter 6.

Only settings with a value on both sides for every seed used enter, else a difference of settings would pass for one of
levels. Which seeds are used: of the seeds by how many settings have them, as many as keep most runs; what that leaves
out is named. A setting in which a level ended badly is left out too, which favours that level; so a level with more bad
ends than another is never better than it, nor the same.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bakeoff.stats.family import Comparison, compare_family
from bakeoff.stats.interactions import Interaction, interaction
from bakeoff.stats.interval import LEVEL
from bakeoff.stats.leader import with_leader
from bakeoff.stats.standings import Standings
from bakeoff.stats.wins import count_wins

Setting = tuple[Hashable, ...]  # a level of each choice
Values = Mapping[Any, Mapping[int, float | None]]  # by setting; a mapping's keys can't be typed more loosely


@dataclass(frozen=True)
class Contrast:
    """Two levels of a choice, first - second: what was averaged, and what was left out because it isn't complete.

    Settings are without the level of the choice itself. `by_setting` maps each to seed -> difference.

    >>> Contrast(by_setting={("sgd",): {0: 1.0, 1: 3.0}, ("adam",): {0: 2.0, 1: 2.0}}).by_seed
    {0: 1.5, 1: 2.5}
    """

    by_setting: Mapping[Setting, Mapping[int, float]]
    dropped_settings: tuple[Setting, ...] = ()
    dropped_seeds: tuple[int, ...] = ()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Those that were averaged."""
        return tuple(self.by_setting)

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> the difference, averaged over the settings."""
        seeds = next(iter(self.by_setting.values()), {})
        return {seed: statistics.fmean(found[seed] for found in self.by_setting.values()) for seed in seeds}

    @property
    def interaction(self) -> Interaction | None:
        """How much the difference varies between the settings."""
        rows = [list(by_seed.values()) for by_seed in self.by_setting.values()]
        return interaction(np.array(rows).T) if rows else None

    def swapped(self) -> Contrast:
        """The same of second - first."""
        turned = {at: {seed: -gap for seed, gap in by_seed.items()} for at, by_seed in self.by_setting.items()}
        return replace(self, by_setting=turned)

    def per_setting(
        self, *, level: float = LEVEL, generator: np.random.Generator | None = None
    ) -> dict[Setting, Comparison]:
        """The difference in each setting by itself, for all at once: what to show where the interaction is large."""
        return compare_family(self.by_setting, level=level, generator=generator)


@dataclass(frozen=True)
class MainEffect:
    """The levels of one choice against each other: `standings` as of arms, `contrasts` for its pairs.

    >>> found = main_effect({("mse", "sgd"): {0: 3.0, 1: 3.1}, ("hinge", "sgd"): {0: 1.0, 1: 1.2}}, 0)
    >>> found.contrasts["mse", "hinge"].settings
    (('sgd',),)
    """

    levels: tuple[Hashable, ...]
    standings: Standings[Hashable]
    contrasts: Mapping[tuple[Hashable, Hashable], Contrast]


def main_effect(
    values: Values,
    choice: int,
    *,
    margin: float | None = None,
    level: float = LEVEL,
    generator: np.random.Generator | None = None,
) -> MainEffect:
    """Effect of one choice: setting -> seed -> value, larger is better; None is a bad end, and in no mean.

    >>> runs = {
    ...     ("mse", "sgd"): {0: 95.0, 1: 95.4, 2: 95.1}, ("mse", "adam"): {0: 96.0, 1: 96.1, 2: 96.3},
    ...     ("hinge", "sgd"): {0: 94.0, 1: 94.2, 2: 94.1}, ("hinge", "adam"): {0: 95.1, 1: 95.3, 2: 95.2},
    ... }
    >>> loss = main_effect(runs, 0)
    >>> gap = loss.standings.comparison("mse", "hinge")
    >>> print(f"mse - hinge {gap.difference.mean:.2f}, {gap.low:.2f} to {gap.high:.2f}, n = {gap.difference.n}")
    mse - hinge 1.00, 0.88 to 1.12, n = 3

    Args:
        values: the runs; every setting has as many levels as there are choices.
        choice: the place of the choice in a setting.
        margin: differences up to it don't matter.
        level: at which all comparisons of the levels hold together.
        generator: draws sign flips above 12 seeds.

    Raises:
        ValueError: settings differ in their number of choices, or have no such choice; or as for `compare_arms`.

    """
    lengths = {len(setting) for setting in values}
    if len(lengths) > 1 or not all(0 <= choice < length for length in lengths):
        raise ValueError(f"each setting must have the same choices, and number {choice}: got {sorted(lengths)} of them")
    levels = tuple(dict.fromkeys(setting[choice] for setting in values))
    by_level = {at: _others(values, choice, at) for at in levels}
    contrasts = {(a, b): contrast(by_level[a], by_level[b]) for a, b in itertools.combinations(levels, 2)}
    averaged = {pair: found.by_seed for pair, found in contrasts.items()}
    found = compare_family(averaged, level=level, generator=generator)
    wins = {pair: count_wins(by_seed, dict.fromkeys(by_seed, 0.0), level=level) for pair, by_seed in averaged.items()}
    # a level without a pair has not been compared: of it nothing is known
    unknown = frozenset(at for at in levels if not any(averaged[pair] for pair in contrasts if at in pair))
    known = [at for at in levels if at not in unknown]
    bad = {at: sum(x is None for by_seed in by_level[at].values() for x in by_seed.values()) for at in levels}
    pairs = with_leader(known, found, bad=bad, level=level)
    standings = Standings(levels, pairs, wins, bad=bad, no_value=unknown, margin=margin, level=level)
    return MainEffect(levels, standings, contrasts)


def _others(values: Values, choice: int, level: Hashable) -> dict[Setting, Mapping[int, float | None]]:
    """The runs of one level: setting of the other choices -> seed -> value."""
    return {
        (*setting[:choice], *setting[choice + 1 :]): by_seed
        for setting, by_seed in values.items()
        if setting[choice] == level
    }


def contrast(first: Values, second: Values) -> Contrast:
    """Two levels over the settings that are complete for every seed used.

    Each is setting of the other choices -> seed -> value.

    >>> a = {("sgd",): {0: 3.0, 1: 4.0, 2: 5.0}, ("adam",): {0: 5.0, 1: 5.0, 2: 7.0}}
    >>> b = {("sgd",): {0: 2.0, 1: 2.0, 2: 3.0}, ("adam",): {0: 1.0, 1: None}}
    >>> found = contrast(a, b)
    >>> found.by_seed, found.dropped_settings
    ({0: 1.0, 1: 2.0, 2: 2.0}, (('adam',),))
    """
    shared = [setting for setting in first if setting in second]
    both = {setting: _differences(first[setting], second[setting]) for setting in shared}
    seeds = sorted({seed for by_seed in both.values() for seed in by_seed})
    used, complete = _most_runs(both, seeds)
    everywhere = dict.fromkeys([*first, *second])
    anywhere = {seed for side in (first, second) for by_seed in side.values() for seed in by_seed}
    return Contrast(
        {setting: {seed: both[setting][seed] for seed in used} for setting in complete},
        dropped_settings=tuple(setting for setting in everywhere if setting not in complete),
        dropped_seeds=tuple(sorted(anywhere - set(used))),
    )


def _differences(first: Mapping[int, float | None], second: Mapping[int, float | None]) -> dict[int, float]:
    both = ((seed, first[seed], second[seed]) for seed in first.keys() & second.keys())
    return {seed: a - b for seed, a, b in both if a is not None and b is not None}


def _most_runs(
    both: Mapping[Setting, Mapping[int, float]], seeds: list[int]
) -> tuple[tuple[int, ...], tuple[Setting, ...]]:
    """The seeds used and the settings complete for them: most runs, then most seeds."""
    by_settings = sorted(seeds, key=lambda seed: (-sum(seed in by_seed for by_seed in both.values()), seed))
    options = []
    for count in range(1, len(by_settings) + 1):
        used = tuple(sorted(by_settings[:count]))
        complete = tuple(setting for setting, by_seed in both.items() if by_seed.keys() >= set(used))
        options.append((len(used) * len(complete), len(used), used, complete))
    if not options:
        return (), ()
    *_, used, complete = max(options, key=lambda option: option[:2])
    return used, complete

"""All arms of a sweep against each other, over the seeds that each two share.

The arm that leads was chosen by the same seeds that are to show that it leads. A test of it against the others, each
for itself, errs in 94% of sweeps of 26 equal arms with 10 seeds (`python benchmarks/decisions.py`). So the family is
all pairs: whichever arm leads, its comparisons are among them.

    no bad end in a pair    D_s = first_s - second_s, max-t or Holm         (`bakeoff.stats.family`)
    a bad end               the sign test, in which a bad run loses         (`bakeoff.stats.wins`)

Where there are pairs of both kinds, each kind gets the part of α that is its part of the pairs. Whether the leader is
better than all others is asked beside that (`bakeoff.stats.leader`).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from bakeoff.stats.family import compare_family, compare_signs
from bakeoff.stats.interval import LEVEL, Estimate, mean_interval
from bakeoff.stats.leader import with_leader
from bakeoff.stats.standings import Standings
from bakeoff.stats.wins import count_wins

Name = TypeVar("Name", bound=Hashable)
BySeed = Mapping[int, float | None]


def compare_arms(
    arms: Mapping[Name, BySeed],
    *,
    margin: float | None = None,
    level: float = LEVEL,
    generator: np.random.Generator | None = None,
) -> Standings[Name]:
    """Every pair of arms, corrected for all of them: arm -> seed -> value, larger is better, None is a bad end.

    >>> found = compare_arms({
    ...     "adam": {0: 0.95, 1: 0.96, 2: 0.95},
    ...     "rmsprop": {0: 0.94, 1: 0.97, 2: 0.94},
    ...     "sgd": {0: 0.900, 1: 0.912, 2: 0.901},
    ... })
    >>> found.best, found.standing("sgd")
    (('adam', 'rmsprop'), 'worse')
    >>> print(f"{found.comparison('adam', 'sgd').p:.4f}")
    0.0004

    Args:
        arms: what is compared.
        margin: differences up to it don't matter.
        level: at which everything that is said of the arms holds together.
        generator: draws sign flips above 12 seeds.

    Raises:
        ValueError: a value is not finite, or an argument is out of its bounds.

    """
    pairs = list(itertools.combinations(arms, 2))
    wins = {(a, b): count_wins(arms[a], arms[b], level=level) for a, b in pairs}
    differences = {(a, b): _differences(arms[a], arms[b]) for a, b in pairs}
    signs = {(a, b): wins[a, b] for a, b in pairs if _bad_end_in(arms[a], arms[b])}
    means = {pair: differences[pair] for pair in pairs if pair not in signs}
    testable = sum(len(by_seed) > 1 for by_seed in means.values())
    found = compare_family(means, level=level, others=len(signs), generator=generator)
    found |= compare_signs(signs, {pair: _mean(differences[pair], level) for pair in signs}, others=testable)
    bad = {name: sum(value is None for value in by_seed.values()) for name, by_seed in arms.items()}
    no_value = frozenset(name for name, by_seed in arms.items() if len(by_seed) == bad[name])
    with_value = [name for name in arms if name not in no_value]
    return Standings(
        names=tuple(arms),
        pairs=with_leader(with_value, found, bad=bad, level=level),
        wins=wins,
        bad=bad,
        no_value=no_value,
        margin=margin,
        level=level,
    )


def _differences(first: BySeed, second: BySeed) -> dict[int, float]:
    """Over the seeds in which both ended well."""
    both = ((seed, first[seed], second[seed]) for seed in sorted(first.keys() & second.keys()))
    return {seed: a - b for seed, a, b in both if a is not None and b is not None}


def _bad_end_in(first: BySeed, second: BySeed) -> bool:
    return any(first[seed] is None or second[seed] is None for seed in first.keys() & second.keys())


def _mean(differences: Mapping[int, float], level: float) -> Estimate | None:
    return mean_interval(differences.values(), level=level) if differences else None

"""Which arms of a sweep may be the best: those that no other is sure to be better than."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bakeoff.stats import Comparison, compare_arms, compare_family, decide
from bakeoff.stats.interval import LEVEL

MAX_ARMS = 100  # all pairs of more take seconds
Values = Mapping[str, Mapping[int, float | None]]


@dataclass(frozen=True)
class Standing:
    """The set of best, and how much better the first arm is than each other; sure at 95% for all pairs of arms."""

    best: frozenset[str]
    gaps: Mapping[str, Comparison]


def standing(arms: Values, first: str) -> Standing:
    """Compares all arms.

    Args:
        arms: arm -> seed -> value, larger is better; None is a bad end.
        first: the arm that is ahead. Of more than 100 arms each is compared with it alone, corrected for all pairs
            nevertheless, since the same runs chose it.

    """
    generator = np.random.default_rng(0)
    others = [name for name in arms if name != first]
    if len(arms) <= MAX_ARMS:
        found = compare_arms(arms, level=LEVEL, generator=generator)
        return Standing(frozenset(found.best), {name: found.comparison(first, name) for name in others})
    differences = {name: _differences(arms[first], arms[name]) for name in others}
    gaps = compare_family(differences, others=math.comb(len(arms), 2) - len(others), generator=generator)
    return Standing(frozenset({first, *(name for name in others if decide(gaps[name]) != "better")}), gaps)


def _differences(first: Mapping[int, float | None], second: Mapping[int, float | None]) -> dict[int, float]:
    both = ((seed, first[seed], second[seed]) for seed in sorted(first.keys() & second.keys()))
    return {seed: a - b for seed, a, b in both if a is not None and b is not None}

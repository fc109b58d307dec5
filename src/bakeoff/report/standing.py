"""Which arms of a sweep may be the best: those that no other is sure to be better than."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bakeoff.stats import compare_arms, compare_family, decide

MOST_ARMS = 100  # all pairs of more take seconds
Values = Mapping[str, Mapping[int, float | None]]


def set_of_best(arms: Values, leader: str) -> set[str]:
    """The arms among which the best one is, sure at 95% for all pairs of arms at once.

    Args:
        arms: arm -> seed -> value, larger is better; None is a bad end.
        leader: the arm that is ahead. Of more than 100 arms each is compared with it alone, corrected for all pairs
            nevertheless, since the same runs chose it.

    """
    generator = np.random.default_rng(0)
    if len(arms) <= MOST_ARMS:
        return set(compare_arms(arms, generator=generator).best)
    differences = {name: _differences(arms[leader], arms[name]) for name in arms if name != leader}
    others = math.comb(len(arms), 2) - len(differences)
    found = compare_family(differences, others=others, generator=generator)
    return {leader, *(name for name in found if decide(found[name]) != "better")}


def _differences(first: Mapping[int, float | None], second: Mapping[int, float | None]) -> dict[int, float]:
    both = ((seed, first[seed], second[seed]) for seed in sorted(first.keys() & second.keys()))
    return {seed: a - b for seed, a, b in both if a is not None and b is not None}

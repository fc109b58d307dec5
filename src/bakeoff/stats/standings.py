"""Which arms may be the best, and where each stands: from the decisions of all pairs.

    set of best     arms that no other arm is sure to be better than
    against best    θ_i - max_{j≠i} θ_j  in  [min(0, min_j low_ij), max(0, min_j high_ij)]

Hsu, "Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best", Annals of Statistics 12
(1984). low_ij and high_ij are those of all pairs, wider than Hsu's own. His say of an arm left out that it is no better
than another, and leave out some of 26 equal arms in 68% of sweeps of 10 seeds. Ours say that it is worse, and of equal
arms none is left out but with probability α.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Literal, TypeVar

from bakeoff.stats.decision import OPPOSITE, Decision, decide
from bakeoff.stats.family import Comparison
from bakeoff.stats.interval import LEVEL
from bakeoff.stats.wins import Wins

Name = TypeVar("Name", bound=Hashable)
Standing = Literal["better", "best set", "same", "worse", "no value"]


@dataclass(frozen=True)
class Standings(Generic[Name]):
    """Every pair of arms (or of a choice's levels), compared within one family; `pairs` holds each once, as named.

    `bad`: how many runs of an arm ended badly. `no_value`: arms without any run that ended well.

    >>> from bakeoff.stats import compare_arms
    >>> found = compare_arms({"adam": {0: 0.95, 1: 0.96, 2: 0.95}, "sgd": {0: 0.90, 1: 0.912, 2: 0.9}})
    >>> found.standing("adam"), found.standing("sgd")
    ('better', 'worse')
    """

    names: tuple[Name, ...]
    pairs: Mapping[tuple[Name, Name], Comparison]
    wins: Mapping[tuple[Name, Name], Wins]
    bad: Mapping[Name, int] = field(default_factory=dict)
    no_value: frozenset[Name] = frozenset()
    margin: float | None = None
    level: float = LEVEL

    def comparison(self, first: Name, second: Name) -> Comparison:
        """Of first - second, in either order."""
        pair = self.pairs.get((first, second))
        return self.pairs[second, first].swapped() if pair is None else pair

    def count(self, first: Name, second: Name) -> Wins:
        """Wins of `first` over `second`, in either order."""
        pair = self.wins.get((first, second))
        if pair is not None:
            return pair
        turned = self.wins[second, first]
        return Wins(turned.losses, turned.wins, turned.ties, turned.level)

    def decision(self, first: Name, second: Name) -> Decision:
        """What `first` is beside `second`. An arm with more bad ends is never better than the other, nor the same."""
        if (first, second) not in self.pairs:
            return OPPOSITE[self.decision(second, first)]
        found = decide(self.pairs[first, second], margin=self.margin, level=self.level)
        more = self.bad.get(first, 0) - self.bad.get(second, 0)
        refused = {"same", "better"} if more > 0 else {"same", "worse"} if more < 0 else set()
        return "undecided" if found in refused else found

    @cached_property
    def best(self) -> tuple[Name, ...]:
        """The set of best: arms that no other is better than, but for those without a value."""
        return tuple(
            name
            for name in self.names
            if name not in self.no_value
            and all(self.decision(name, other) != "worse" for other in self.names if other != name)
        )

    @cached_property
    def leader(self) -> Name | None:
        """The arm of the set of best with the fewest bad ends that is furthest above the others; None without one."""
        return max(self.best, key=lambda name: (-self.bad.get(name, 0), self._lead(name)), default=None)

    def _lead(self, name: Name) -> float:
        gaps = [self.comparison(name, other).difference for other in self.names if other != name]
        return math.fsum(gap.mean for gap in gaps if gap is not None)

    def standing(self, name: Name) -> Standing:
        """Better (than all that have a value), in the set of best, the same as its leader, worse, or no value."""
        if name in self.no_value:
            return "no value"
        if name not in self.best:
            return "worse"
        if len(self.best) == 1 < len(self.names) - len(self.no_value):
            return "better"
        leader = self.leader
        if leader is not None and leader != name and self.decision(name, leader) == "same":
            return "same"
        return "best set"

    def against_best(self, name: Name) -> tuple[float, float]:
        """Interval of how far the arm is above the best of the others; infinite where a comparison has no interval."""
        low, high = 0.0, math.inf
        for other in self.names:
            if other != name:
                pair = self.comparison(name, other)
                low = min(low, -math.inf if pair.low is None else pair.low)
                high = min(high, math.inf if pair.high is None else pair.high)
        return low, max(0.0, high)

"""What one comparison says: better, worse, practically the same, or undecided.

    same       -margin <= low and high <= margin,   [low, high] the simultaneous interval; asked before the others
    better     p <= α, the first ahead
    worse      p <= α, the second ahead
    undecided  otherwise: too few seeds to say

The whole interval within the margin: Schuirmann's two one-sided tests (J. Pharmacokinetics and Biopharmaceutics 15,
1987), here at α/2 each, since the interval is two-sided. A difference that is sure and within the margin is "same":
the margin says that it doesn't matter.
"""

from __future__ import annotations

from typing import Literal

from bakeoff.stats.family import Comparison
from bakeoff.stats.interval import LEVEL

Decision = Literal["better", "worse", "same", "undecided"]
OPPOSITE: dict[Decision, Decision] = {"better": "worse", "worse": "better", "same": "same", "undecided": "undecided"}


def decide(comparison: Comparison, *, margin: float | None = None, level: float = LEVEL) -> Decision:
    """What the first arm is, beside the second.

    >>> from bakeoff.stats import Estimate
    >>> gap = Comparison(Estimate(0.2, 0.1, 0.3, 9), low=0.05, high=0.35, p=0.01, alone=0.01, lead=1, method="max-t")
    >>> decide(gap), decide(gap, margin=0.5), decide(gap, margin=0.3)
    ('better', 'same', 'better')

    Args:
        comparison: of the two arms.
        margin: differences up to it don't matter; None says that any does.
        level: of the family.

    Raises:
        ValueError: the margin is not above 0.

    """
    if margin is not None and not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}: leave it out if any difference matters")
    low, high = comparison.low, comparison.high
    if margin is not None and low is not None and high is not None and -margin <= low and high <= margin:
        return "same"
    if not comparison.different(level):
        return "undecided"
    return "better" if comparison.lead > 0 else "worse"


def below_resolution(margin: float, examples: int) -> bool:
    """Whether a margin of an accuracy is less than one validation example, 1 / n: no run could show it.

    >>> below_resolution(0.001, 360), below_resolution(0.005, 360)
    (True, False)
    """
    return margin < 1 / examples

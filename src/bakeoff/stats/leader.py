"""Whether the arm that leads is the best: asked by itself, it takes far fewer seeds than all pairs at once.

    p = max_j p_1j,    p_1j the two-sided p-value of the leader against arm j, for itself

Only one arm leads, and it is called the best only if it beats each of the others. If it isn't the best, one of the
others is as good, and to beat that one by chance has probability α / 2; two equal arms at the top err most, with α, and
more of them less. Gutmann & Maymin, "Is the Selected Population the Best?", Annals of Statistics 15 (1987), for
independent arms; for arms paired by seed by simulation (`python benchmarks/decisions.py`): together with what is said
of all pairs, 5 to 6%.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from bakeoff.stats.family import Comparison

Name = TypeVar("Name", bound=Hashable)
Pairs = dict[tuple[Name, Name], Comparison]


def with_leader(names: Sequence[Name], pairs: Pairs[Name], *, bad: Mapping[Name, int], level: float) -> Pairs[Name]:
    """The pairs, in which those of an arm that is ahead of all `names` have the p-value above where it is the smaller.

    An arm with more bad ends than another is not ahead of it. Names that are not to count (arms without a value) are
    left out of `names`.

    >>> from bakeoff.stats import compare_family
    >>> a_b, a_c, b_c = {0: 3.0, 1: 4.0, 2: 3.5}, {0: 2.0, 1: 3.0, 2: 2.4}, {0: -1.0, 1: -1.0, 2: 0.0}
    >>> pairs = compare_family({("a", "b"): a_b, ("a", "c"): a_c, ("b", "c"): b_c})
    >>> [round(found.p, 3) for found in pairs.values()]
    [0.02, 0.027, 0.184]
    >>> [round(found.p, 3) for found in with_leader("abc", pairs, bad={}, level=0.95).values()]
    [0.014, 0.014, 0.184]
    """
    for name in names:
        others = [other for other in names if other != name]
        if all(_ahead(name, other, pairs) and bad.get(name, 0) <= bad.get(other, 0) for other in others):
            mine = {pair for pair in pairs if name in pair and all(one in names for one in pair)}
            p = max((pairs[pair].alone for pair in mine), default=1.0)
            return {pair: gap.with_p(min(gap.p, p), level) if pair in mine else gap for pair, gap in pairs.items()}
    return pairs


def _ahead(name: Name, other: Name, pairs: Pairs[Name]) -> bool:
    pair = pairs.get((name, other))
    return pair.lead > 0 if pair is not None else pairs[other, name].lead < 0

"""Addresses that open TensorBoard on one view: the tab, or the main metric coloured by the first choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from bakeoff.report.arms import Arm, differing_keys
from bakeoff.runs.arm import escape

FIRST_CHOICES = ("optimizer", "loss", "batch_size")
PORT = 6006  # TensorBoard's own


def comparison() -> str:
    """The tab that compares arms."""
    return f"http://localhost:{PORT}/#bakeoff"


def time_series(arms: Sequence[Arm], metric: str) -> str:
    """Time Series with the runs alone (no aggregate ones), filtered to their metric, coloured by one choice."""
    view = {"tagFilter": f"^{re.escape(metric)}$", "runFilter": "/seed=", "smoothing": "0"}
    colour = _colour(arms)
    if colour:
        view["runColorGroup"] = f"regex:{colour}"
    return f"http://localhost:{PORT}/?{urlencode(view, safe='/:=', quote_via=quote)}#timeseries"


def _colour(arms: Sequence[Arm]) -> str | None:
    """A pattern whose group matches the value of one choice in run names: of the choice that most names show."""
    differing = differing_keys([arm.overrides for arm in arms])
    keys = [key for key in dict.fromkeys((*FIRST_CHOICES, *differing)) if key in differing]
    patterns = [_pattern(key, arms) for key in keys]
    return max(patterns, key=lambda p: sum(bool(re.search(p, arm.folder)) for arm in arms), default=None)


def _pattern(key: str, arms: Sequence[Arm]) -> str:
    values = {escape(arm.overrides[key]) for arm in arms if key in arm.overrides}
    # the longest first, as 1 would be found in 16
    pattern = "|".join(map(re.escape, sorted(values, key=lambda value: (-len(value), value))))
    return f"{re.escape(escape(key))}=({pattern})"

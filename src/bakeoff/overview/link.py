"""The address that opens TensorBoard on what was asked: the sweep's main metric, coloured by its first choice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from bakeoff.report.arms import Arm, differing_keys
from bakeoff.runs.arm import escaped

FIRST_CHOICES = ("optimizer", "loss", "batch_size")
PORT = 6006  # TensorBoard's own


def time_series(arms: Sequence[Arm], metric: str) -> str:
    """Time Series with the runs alone (no aggregate ones), filtered to their metric, in one colour a choice."""
    view = {"tagFilter": f"^{re.escape(metric)}$", "runFilter": "/seed=", "smoothing": "0"}
    colour = _colour([arm.overrides for arm in arms])
    if colour:
        view["runColorGroup"] = f"regex:{colour}"
    return f"http://localhost:{PORT}/?{urlencode(view, safe='/:=', quote_via=quote)}#timeseries"


def _colour(arms: Sequence[Mapping[str, Any]]) -> str | None:
    """A pattern whose group tells the values of one choice apart in run names."""
    differing = differing_keys(arms)
    key = next((key for key in (*FIRST_CHOICES, *differing) if key in differing), None)
    if key is None:
        return None
    values = {escaped(arm[key]) for arm in arms if key in arm}
    # the longest first, as 1 would be found in 16
    pattern = "|".join(map(re.escape, sorted(values, key=lambda value: (-len(value), value))))
    return f"{re.escape(escaped(key))}=({pattern})"

"""A sweep as plain text: the answer first, then its arms."""

from __future__ import annotations

from bakeoff.report.answer import render_answer
from bakeoff.report.leaderboard import render
from bakeoff.report.metric import METRIC
from bakeoff.report.records import Sweep
from bakeoff.runs.metrics import Direction


def sweep_text(sweep: Sweep, *, metric: str = METRIC, direction: Direction | None = None) -> str:
    """What each choice changes, and the leaderboard.

    Raises:
        UserError: `metric` is not a validation metric, no run has it, or its direction is not known.

    """
    note = sweep.tuning_note
    arms = render(sweep.records, sweep.unreadable, metric=metric, direction=direction, tuning_note=note)
    answer = render_answer(sweep.records, metric=metric, direction=direction)
    return f"{answer}\n\n{arms}" if answer else arms

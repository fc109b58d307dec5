"""A sweep as plain text: the answer first, then its arms."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.report.answer import render_answer
from bakeoff.report.leaderboard import render
from bakeoff.report.metric import METRIC
from bakeoff.report.records import Record, UnreadableRun
from bakeoff.runs.metrics import Direction


def sweep_text(
    records: Sequence[Record],
    unreadable: Sequence[UnreadableRun] = (),
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
    tuning_note: str | None = None,
) -> str:
    """What each choice changes, and the leaderboard; see `bakeoff.report.leaderboard.render` for the arguments.

    Raises:
        UserError: `metric` is not a validation metric, no run has it, or its direction is not known.

    """
    arms = render(records, unreadable, metric=metric, direction=direction, tuning_note=tuning_note)
    answer = render_answer(records, metric=metric, direction=direction)
    return f"{answer}\n\n{arms}" if answer else arms

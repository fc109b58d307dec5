"""The one rule for "is this run finished?": not to be trained again, whatever command asks for it."""

from __future__ import annotations

from pathlib import Path

from bakeoff.runs.outcome import FINAL_STATUSES, Outcome


def is_finished(outcome: Outcome, retry: str | None) -> bool:
    """Whether a run with this outcome is not to be trained by a command that asks for it now.

    One that completed or diverged is finished. One that failed is too, unless `retry` is `failed`.
    """
    return outcome.status in FINAL_STATUSES or (outcome.status == "failed" and retry != "failed")


def is_finished_since(outcome: Outcome, retry: str | None, before: Outcome | None) -> bool:
    """Whether it is not to be trained by a command that found `before` when it asked for it; None is no record.

    With `retry=failed` a run is trained once more: a failure that is not the one found before is final. What the record
    says tells them apart, and no time: clocks of two machines differ.
    """
    return is_finished(outcome, retry) or (outcome.status == "failed" and outcome != before)


def finished_outcome(folder: Path, identity: str, retry: str | None) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run is finished."""
    found = _outcome_of(folder, identity)
    return found if found is not None and is_finished(found, retry) else None


def finished_outcome_since(folder: Path, identity: str, retry: str | None, before: Outcome | None) -> Outcome | None:
    """As `finished_outcome`, by a command that found `before` when it asked for the run."""
    found = _outcome_of(folder, identity)
    return found if found is not None and is_finished_since(found, retry, before) else None


def _outcome_of(folder: Path, identity: str) -> Outcome | None:
    found = Outcome.read(folder)
    return found if found is not None and found.identity == identity else None


def resumable_outcome(folder: Path, identity: str) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run was interrupted: it is resumed.

    One that failed is trained from its last checkpoint too, but that it will not fail again is not known.
    """
    found = _outcome_of(folder, identity)
    return found if found is not None and found.status in ("running", "interrupted") else None

"""The one rule for "is this run finished?": not to be trained again, whatever command asks for it."""

from __future__ import annotations

from pathlib import Path

from bakeoff.runs.outcome import FINAL_STATUSES, Outcome


def is_finished(outcome: Outcome, retry: str | None, launched: str | None = None) -> bool:
    """Whether a run with this outcome is not to be trained again.

    One that completed or diverged is finished. One that failed is too, unless `retry` is `failed`; with that it is
    trained once more, so a failure since the command was launched (`launched`, ISO 8601) is final.
    """
    if outcome.status in FINAL_STATUSES:
        return True
    failed_since = launched is not None and (outcome.ended or "") >= launched
    return outcome.status == "failed" and (retry != "failed" or failed_since)


def finished_outcome(folder: Path, identity: str, retry: str | None, launched: str | None = None) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run is finished."""
    found = Outcome.read(folder)
    if found is None or found.identity != identity:
        return None
    return found if is_finished(found, retry, launched) else None


def resumable_outcome(folder: Path, identity: str) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run was interrupted: it is resumed.

    One that failed is trained from its last checkpoint too, but that it will not fail again is not known.
    """
    found = Outcome.read(folder)
    resumes = found is not None and found.identity == identity and found.status in ("running", "interrupted")
    return found if resumes else None

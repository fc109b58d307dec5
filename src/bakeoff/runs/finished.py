"""The one rule for "is this run finished?": not to be trained again, whatever command asks for it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.runs.outcome import FINAL_STATUSES, Outcome


@dataclass(frozen=True)
class ReuseRule:
    """Which records a command takes for the runs that it asks for.

    A record that this command has made, or that is not the one found when it asked for the run, is always taken: with
    `reuse=never` and `retry=failed` a run is trained once more, not twice. What the record says tells them apart, and
    no time: clocks of two machines differ.

    Args:
        retry: `failed` trains the runs that failed again.
        reuse: `always` takes what is there; `known` does where all that decides the result is known; `never` takes
            nothing that was there.
        launch: names the command, in the records that it makes.

    """

    retry: str | None = None
    reuse: str = "always"
    launch: str = field(default_factory=lambda: uuid.uuid4().hex)

    def is_finished(self, outcome: Outcome) -> bool:
        """Whether a run with this outcome is not to be trained if the command asks for it now."""
        if outcome.launch == self.launch and outcome.status == "failed":
            return True
        is_final = outcome.status in FINAL_STATUSES or (outcome.status == "failed" and self.retry != "failed")
        return is_final and self.may_resume(outcome)

    def is_finished_since(self, outcome: Outcome, before: Outcome | None) -> bool:
        """Whether it is not to be trained, where the command found `before` when it asked for it; None is no record."""
        has_ended = outcome.status in (*FINAL_STATUSES, "failed")
        return self.is_finished(outcome) or (has_ended and outcome != before)

    def may_resume(self, outcome: Outcome) -> bool:
        """Whether a run that has come this far may be taken for the one that the command asks for now."""
        if self.reuse == "always" or outcome.launch == self.launch:
            return True
        return self.reuse == "known" and outcome.assumed is None

    def may_resume_since(self, outcome: Outcome, before: Outcome | None) -> bool:
        """The same, where the command found `before` when it asked for it; None is no record."""
        return self.may_resume(outcome) or outcome != before


def finished_outcome(folder: Path, identity: str, reuse_rule: ReuseRule) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run is finished."""
    found = _outcome_of(folder, identity)
    return found if found is not None and reuse_rule.is_finished(found) else None


def finished_outcome_since(
    folder: Path, identity: str, reuse_rule: ReuseRule, before: Outcome | None
) -> Outcome | None:
    """As `finished_outcome`, by a command that found `before` when it asked for the run."""
    found = _outcome_of(folder, identity)
    return found if found is not None and reuse_rule.is_finished_since(found, before) else None


def _outcome_of(folder: Path, identity: str) -> Outcome | None:
    found = Outcome.read(folder)
    return found if found is not None and found.identity == identity else None


def resumable_outcome(folder: Path, identity: str, reuse_rule: ReuseRule) -> Outcome | None:
    """The outcome in `folder`, if it is that of the run of this identity and the run was interrupted: it is resumed.

    One that failed is trained from its last checkpoint too, but that it will not fail again is not known.
    """
    found = _outcome_of(folder, identity)
    is_interrupted = found is not None and found.status in ("running", "interrupted")
    return found if found is not None and is_interrupted and reuse_rule.may_resume(found) else None

"""The one rule for whether a run is trained again."""

import pytest

from bakeoff.runs import (
    Outcome,
    finished_outcome,
    finished_outcome_since,
    is_finished,
    is_finished_since,
    resumable_outcome,
)


@pytest.mark.parametrize(
    ("status", "retry", "finished"),
    [
        ("completed", None, True),
        ("completed", "failed", True),
        ("diverged", "failed", True),
        ("failed", None, True),
        ("failed", "failed", False),
        ("interrupted", None, False),
        ("running", None, False),
    ],
)
def test_the_rule(tmp_path, status, retry, finished):
    outcome = Outcome({}, 0, "i", [], status=status)
    assert is_finished(outcome, retry) is is_finished_since(outcome, retry, before=outcome) is finished
    outcome.write(tmp_path)
    assert (finished_outcome(tmp_path, "i", retry) is not None) is finished
    assert (finished_outcome_since(tmp_path, "i", retry, outcome) is not None) is finished
    assert finished_outcome(tmp_path, "another", retry) is None
    assert finished_outcome_since(tmp_path, "another", retry, None) is None
    assert (resumable_outcome(tmp_path, "i") is not None) is (status in ("interrupted", "running"))
    assert resumable_outcome(tmp_path, "another") is None


def test_nothing_is_there(tmp_path):
    assert finished_outcome(tmp_path, "i", None) is None
    assert resumable_outcome(tmp_path, "i") is None


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_failure_is_known_by_its_record_and_by_no_clock(tmp_path, hours):
    """It was trained by a machine whose clock is an hour behind or ahead of the one that gave the command."""
    before = Outcome({}, 0, "i", [], status="failed", process=1, ended="2026-01-02T12:00:00.000+00:00")
    before.write(tmp_path)
    before = Outcome.read(tmp_path)
    assert finished_outcome_since(tmp_path, "i", "failed", before) is None  # to be trained once more
    again = Outcome({}, 0, "i", [], status="failed", process=2, ended=f"2026-01-02T{12 + hours}:00:00.000+00:00")
    again.write(tmp_path)
    assert finished_outcome_since(tmp_path, "i", "failed", before) == Outcome.read(tmp_path)
    assert finished_outcome_since(tmp_path, "i", "failed", None) is not None  # it had no record, and failed

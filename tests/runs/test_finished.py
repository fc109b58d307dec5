"""The one rule for whether a run is trained again."""

import pytest

from bakeoff.runs import Outcome, ReuseRule, finished_outcome, finished_outcome_since, resumable_outcome


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
    outcome, reuse_rule = Outcome({}, 0, "i", [], status=status), ReuseRule(retry)
    assert reuse_rule.is_finished(outcome) is reuse_rule.is_finished_since(outcome, before=outcome) is finished
    outcome.write(tmp_path)
    assert (finished_outcome(tmp_path, "i", reuse_rule) is not None) is finished
    assert (finished_outcome_since(tmp_path, "i", reuse_rule, outcome) is not None) is finished
    assert finished_outcome(tmp_path, "another", reuse_rule) is None
    assert finished_outcome_since(tmp_path, "another", reuse_rule, None) is None
    assert (resumable_outcome(tmp_path, "i", reuse_rule) is not None) is (status in ("interrupted", "running"))
    assert resumable_outcome(tmp_path, "another", reuse_rule) is None


def test_nothing_is_there(tmp_path):
    assert finished_outcome(tmp_path, "i", ReuseRule()) is None
    assert resumable_outcome(tmp_path, "i", ReuseRule()) is None


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_failure_is_known_by_its_record_and_by_no_clock(tmp_path, hours):
    """It was trained by a machine whose clock is an hour behind or ahead of the one that gave the command."""
    reuse_rule = ReuseRule("failed")
    before = Outcome({}, 0, "i", [], status="failed", process=1, ended="2026-01-02T12:00:00.000+00:00")
    before.write(tmp_path)
    before = Outcome.read(tmp_path)
    assert finished_outcome_since(tmp_path, "i", reuse_rule, before) is None  # to be trained once more
    again = Outcome({}, 0, "i", [], status="failed", process=2, ended=f"2026-01-02T{12 + hours}:00:00.000+00:00")
    again.write(tmp_path)
    assert finished_outcome_since(tmp_path, "i", reuse_rule, before) == Outcome.read(tmp_path)
    assert finished_outcome_since(tmp_path, "i", reuse_rule, None) is not None  # it had no record, and failed


@pytest.mark.parametrize(
    ("reuse", "assumed", "launch", "taken"),
    [
        ("always", "the data", "another", True),
        ("known", None, "another", True),
        ("known", "the data", "another", False),
        ("known", "the data", "this", True),
        ("never", None, "another", False),
        ("never", "the data", "this", True),  # a worker of this command has begun it, or a search asks for it again
    ],
)
@pytest.mark.parametrize("status", ["completed", "diverged", "failed", "interrupted", "running"])
def test_what_is_taken_for_a_run_that_is_asked_for_again(tmp_path, status, reuse, assumed, launch, taken):
    reuse_rule = ReuseRule(None, reuse, "this")
    Outcome({}, 0, "i", [], status=status, assumed=assumed, launch=launch).write(tmp_path)
    found, has_ended = Outcome.read(tmp_path), status in ("completed", "diverged", "failed")
    assert (finished_outcome(tmp_path, "i", reuse_rule) is not None) is (taken and has_ended)
    assert (finished_outcome_since(tmp_path, "i", reuse_rule, found) is not None) is (taken and has_ended)
    assert (resumable_outcome(tmp_path, "i", reuse_rule) is not None) is (taken and not has_ended)
    assert reuse_rule.may_resume(found) is reuse_rule.may_resume_since(found, found) is taken
    assert reuse_rule.may_resume_since(found, None)  # it was not there when the run was asked for: another command's
    assert reuse_rule.is_finished_since(found, None) is has_ended

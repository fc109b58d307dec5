"""The one rule for whether a run is trained again."""

import pytest

from bakeoff.runs import Outcome, finished_outcome, is_finished, resumable_outcome

LAUNCHED, BEFORE, SINCE = "2026-01-02T00:00:00", "2026-01-01T00:00:00", "2026-01-03T00:00:00"


@pytest.mark.parametrize(
    ("status", "retry", "ended", "finished"),
    [
        ("completed", None, BEFORE, True),
        ("completed", "failed", BEFORE, True),
        ("diverged", "failed", BEFORE, True),
        ("failed", None, BEFORE, True),
        ("failed", "failed", BEFORE, False),
        ("failed", "failed", SINCE, True),  # it was trained again by this command, and failed again
        ("failed", "failed", None, False),
        ("interrupted", None, BEFORE, False),
        ("running", None, None, False),
    ],
)
def test_the_rule(tmp_path, status, retry, ended, finished):
    outcome = Outcome({}, 0, "i", [], status=status, ended=ended)
    assert is_finished(outcome, retry, LAUNCHED) is finished
    outcome.write(tmp_path)
    assert (finished_outcome(tmp_path, "i", retry, LAUNCHED) is not None) is finished
    assert finished_outcome(tmp_path, "another", retry, LAUNCHED) is None
    assert (resumable_outcome(tmp_path, "i") is not None) is (status in ("interrupted", "running"))
    assert resumable_outcome(tmp_path, "another") is None


def test_nothing_is_there(tmp_path):
    assert finished_outcome(tmp_path, "i", None) is None
    assert resumable_outcome(tmp_path, "i") is None

"""What becomes of a multirun decides the exit status of its command."""

import pytest

from bakeoff.launch.result import STOPPED_BY_SIGNAL, SweepResult


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (SweepResult(), 0),
        (SweepResult(failed={"a"}), 1),
        (SweepResult(stopped="cannot write to outputs: No space left on device"), 1),
        (SweepResult(failed={"a"}, stopped="fail_fast=true, and a run failed: ValueError: x"), 1),
        (SweepResult(stopped=STOPPED_BY_SIGNAL), 130),
        (SweepResult(failed={"a"}, stopped=STOPPED_BY_SIGNAL), 130),
    ],
    ids=["all well", "a failed run", "a full disk", "fail_fast", "Ctrl-C", "Ctrl-C after a failed run"],
)
def test_exit_status(result, status):
    assert result.exit_status == status
    assert type(result.exit_status) is int  # what `SystemExit` takes for a status


def test_results_share_nothing():
    one, other = SweepResult(), SweepResult()
    one.failed.add("a")
    assert other.exit_status == 0

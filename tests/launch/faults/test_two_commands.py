"""The same sweep, asked for twice at the same moment."""

import pytest

from .processes import wait_for
from .records import check_whole, in_the_middle, steps_by_process


@pytest.mark.long
def test_two_commands_share_the_work(start, tmp_path, eight_runs, undisturbed):
    commands = [start(*eight_runs), start(*eight_runs)]
    said = [command.wait() for command in commands]
    assert [one.status for one in said] == [0, 0], said
    boards = [one.text[one.text.index("\nrank ") : one.text.index("\nTensorBoard:")] for one in said]
    assert boards[0] == boards[1]
    assert "runs: 8: 8 completed, 0 diverged, 0 failed" in boards[0]
    assert not [left for command in commands for left in command.left_over()]
    sweep = tmp_path / "outputs" / "main"
    check_whole(sweep, undisturbed, 8)
    assert {len(steps_by_process(run)) for run in sweep.glob("*/seed=*")} == {1}


@pytest.mark.long
def test_a_command_takes_over_what_another_was_killed_over(start, tmp_path, eight_runs, undisturbed):
    sweep = tmp_path / "outputs" / "main"
    first = start(*eight_runs)
    wait_for(lambda: in_the_middle(sweep))
    second = start(*eight_runs)
    wait_for(lambda: second.workers())
    first.signal(9)
    said = second.wait()
    assert said.status == 0, said.text
    check_whole(sweep, undisturbed, 8)

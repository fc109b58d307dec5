"""Damaged checkpoints, records and event files: set aside with a warning; what they held is trained or read again."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from .processes import meanwhile
from .records import completed, in_the_middle, records, result, statuses

DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "a flipped byte": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 0xFF]) + content[len(content) // 2 + 1 :]
    ),
}


def damage(path, how: str) -> None:
    path.write_bytes(DAMAGES[how](path.read_bytes()))


@pytest.fixture
def stopped(bakeoff, tmp_path, eight_runs):
    """The sweep, stopped by Ctrl-C: the runs that are completed, and those that are interrupted."""
    sweep = tmp_path / "outputs" / "main"

    def is_time() -> bool:
        return len(completed(sweep)) >= 2 and len(in_the_middle(sweep)) == 2

    with meanwhile(is_time, lambda _: os.kill(os.getpid(), signal.SIGINT)):
        assert bakeoff(*eight_runs).status == 130
    by_status = {}
    for run, record in records(sweep).items():
        by_status.setdefault(record["status"], []).append(run)
    assert len(by_status["interrupted"]) == 2
    return by_status["completed"], by_status["interrupted"]


def check_results(sweep, undisturbed, *, without_curves=()) -> None:
    """Bit-equal metrics; curves too, but for those whose files were damaged."""
    assert statuses(sweep) == ["completed"] * 8
    for run, record in records(sweep).items():
        metrics, curves = result(run)
        expected_metrics, expected_curves = undisturbed[record["identity"]]
        assert metrics == expected_metrics
        assert curves == expected_curves or run in without_curves


@pytest.mark.parametrize("how", DAMAGES)
def test_records_checkpoints_and_event_files(stopped, bakeoff, tmp_path, eight_runs, undisturbed, how):
    sweep = tmp_path / "outputs" / "main"
    (ended, other, *_), (one, two) = stopped
    damage(one / "checkpoints" / "last.ckpt", how)
    (events,) = two.glob("events.out.tfevents.*")
    damage(events, how)
    (events,) = other.glob("events.out.tfevents.*")
    damage(events, how)
    kept = completed(sweep)
    if how != "a flipped byte":  # of a text, which it may leave as good as it was
        for run in (two, ended):
            damage(run / "outcome.json", how)
        del kept[ended / "outcome.json"]
    again = bakeoff(*eight_runs)
    assert again.status == 0, again.err
    assert "Traceback" not in again.out + again.err
    check_results(sweep, undisturbed, without_curves=(two, other))
    assert kept.items() <= completed(sweep).items()
    assert (one / "checkpoints" / "last.ckpt.damaged").exists()
    if how != "a flipped byte":
        for run in (two, ended):
            assert (run / "outcome.json.damaged").exists()
    for command in ("report.command", "report.runs_command"):
        words = [sys.executable, "-c", f"from bakeoff.{command} import main; main()", sweep]
        shown = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert "8 completed" in shown.stdout
        assert "Traceback" not in shown.stderr


def test_a_completed_run_without_a_record_is_only_tested_again(stopped, start, eight_runs):
    (ended, *_), (interrupted, _) = stopped
    steps = (ended / "steps.txt").read_bytes()
    damage(ended / "outcome.json", "truncated")
    damage(interrupted / "checkpoints" / "last.ckpt", "truncated")
    said = start(*eight_runs).wait()
    assert said.status == 0, said.text
    assert f"{ended / 'outcome.json'} is damaged: set aside" in said.text
    assert re.search(f"{re.escape(str(interrupted))}/checkpoints/last.ckpt is damaged .*: set aside as", said.text)
    assert json.loads((ended / "outcome.json").read_text())["status"] == "completed"
    assert (ended / "steps.txt").read_bytes() == steps

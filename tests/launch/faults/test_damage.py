"""Damaged checkpoints, records and event files: set aside with a warning; what they held is trained or read again."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from .processes import meanwhile
from .records import completed, in_the_middle, records, result, statuses, steps_file

DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped bytes": lambda content: flip(content, len(content) // 2),
}


def flip(content: bytes, start: int) -> bytes:
    """More of them than torch leaves unused between two tensors, to align them."""
    middle = bytes(byte ^ 0xFF for byte in content[start : start + 256])
    return content[:start] + middle + content[start + 256 :]


def damage(path, how: str) -> None:
    path.write_bytes(DAMAGES[how](path.read_bytes()))


@pytest.fixture
def stopped(bakeoff, tmp_path, eight_runs):
    """The sweep, stopped by Ctrl-C: the runs that are completed, and those that are interrupted."""
    sweep = tmp_path / "outputs" / "main"

    def is_time() -> bool:
        early = [run for run in in_the_middle(sweep) if steps_file(run).stat().st_size < 5000]  # some 500 steps
        return len(completed(sweep)) >= 2 and len(early) == 2

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


@pytest.mark.long
@pytest.mark.parametrize(
    ("checkpoint", "record", "events"),
    [
        ("flipped bytes", "truncated", "empty"),
        pytest.param("empty", "empty", "flipped bytes", marks=pytest.mark.long),
    ],
)
def test_records_checkpoints_and_event_files(
    stopped, bakeoff, tmp_path, eight_runs, undisturbed, checkpoint, record, events
):
    sweep = tmp_path / "outputs" / "main"
    (ended, other, *_), (one, two) = stopped
    damage(one / "checkpoints" / "last.ckpt", checkpoint)
    for run in (two, ended):
        damage(run / "outcome.json", record)
    for run in (two, other):
        (file,) = run.glob("events.out.tfevents.*")
        damage(file, events)
    kept = completed(sweep)
    again = bakeoff(*eight_runs)
    assert again.status == 0, again.err
    assert "Traceback" not in again.out + again.err
    check_results(sweep, undisturbed, without_curves=(two, other))
    assert kept.items() <= completed(sweep).items()
    assert (one / "checkpoints" / "last.ckpt.damaged").exists()
    for run in (two, ended):
        assert (run / "outcome.json.damaged").exists()
    for command in ("report.command", "report.runs_command"):
        words = [sys.executable, "-c", f"from bakeoff.{command} import main; main()", sweep]
        shown = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert "8 completed" in shown.stdout
        assert "Traceback" not in shown.stderr


@pytest.mark.long
def test_a_completed_run_without_a_record_is_only_tested_again(stopped, start, eight_runs):
    (ended, *_), (interrupted, _) = stopped
    steps = steps_file(ended).read_bytes()
    damage(ended / "outcome.json", "truncated")
    damage(interrupted / "checkpoints" / "last.ckpt", "truncated")
    said = start(*eight_runs).wait()
    assert said.status == 0, said.text
    assert f"{ended / 'outcome.json'} is damaged: set aside" in said.text
    assert re.search(f"{re.escape(str(interrupted))}/checkpoints/last.ckpt is damaged .*: set aside as", said.text)
    assert json.loads((ended / "outcome.json").read_text())["status"] == "completed"
    assert steps_file(ended).read_bytes() == steps

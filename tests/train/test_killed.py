"""A kill leaves what had reached the files by then; a checkpoint must not stand for steps whose points had not."""

import errno
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bakeoff.report.curves import read_curves
from bakeoff.runs import Outcome
from bakeoff.train.checkpoints import Checkpoints
from bakeoff.train.event_writer import RunEventWriter

COMMAND = (
    *("budget.steps=90", "budget.validations=2", "batch_size=16", "checkpoint_every=0"),
    *("trainer.sample_every_n_steps=7", "trainer.log_every_n_steps=4"),  # points that wait for others
)


@pytest.fixture
def train(make_run, monkeypatch):
    """`train(folder, step)` trains, with a checkpoint after each step; gives a copy of the folder as that of `step`
    was written, which is what a kill would have left."""
    save = Checkpoints.save

    def train_in(folder, step):
        copy = folder.with_name(f"{folder.name}, killed at {step}")

        def save_and_copy(checkpoints, state, *, flush):
            saved = state()
            save(checkpoints, lambda: saved, flush=flush)
            checkpoints._due = 0.0
            if saved.step == step:
                shutil.copytree(folder, copy)

        monkeypatch.setattr(Checkpoints, "save", save_and_copy)
        assert make_run(*COMMAND).train(folder).status == "completed"
        return copy

    return train_in


def curves(folder):
    """As our reader sees them, and the steps as TensorBoard's own does."""
    kept = {tag: curve for tag, curve in read_curves(folder).items() if not tag.startswith(("time/", "axis/seconds"))}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    seen = {tag: [point.step for point in events.Scalars(tag)] for tag in kept}
    return {tag: (curve.steps.tolist(), curve.values.tolist(), seen[tag]) for tag, curve in kept.items()}


LONG = [pytest.param(*steps, marks=pytest.mark.long) for steps in ((7, 9), (54, 71), (88, 89))]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (33, 34), (89, 90), *LONG])
def test_no_point_is_lost_and_none_stands_twice(train, tmp_path, first, second):
    once = train(tmp_path / "whole", first)
    shutil.copytree(once / "checkpoints", tmp_path / "first")
    twice = train(once, second)
    # killed before the second checkpoint was written, but behind points that had reached the file
    early = shutil.copytree(twice, tmp_path / "early")
    shutil.copytree(tmp_path / "first", early / "checkpoints", dirs_exist_ok=True)
    train(twice, None)
    train(early, None)
    expected = curves(tmp_path / "whole")
    assert {"train/loss", "grad/norm", "val/accuracy"} <= set(expected)
    assert curves(once) == expected
    assert curves(twice) == expected
    assert curves(early) == expected


def test_a_run_whose_last_points_find_no_room_is_not_completed_yet(make_run, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    make_run(*COMMAND).train(tmp_path / "whole")
    folder = tmp_path / "run"
    monkeypatch.setattr(RunEventWriter, "_write_results", refuse)
    outcome = make_run(*COMMAND).train(folder)
    assert (outcome.status, Outcome.read(folder).status) == ("interrupted", "interrupted")
    assert "No space left" in outcome.error["message"]
    monkeypatch.undo()
    assert make_run(*COMMAND).train(folder).status == "completed"
    # TensorBoard shows the test twice, at the same place
    found, expected = curves(folder), curves(tmp_path / "whole")
    assert {tag: curve[:2] for tag, curve in found.items()} == {tag: curve[:2] for tag, curve in expected.items()}

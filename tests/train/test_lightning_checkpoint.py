"""Our state of a run and Lightning's checkpoint of it hold the same."""

import logging

import pytest
import torch

from bakeoff.train.lightning_checkpoint import RunStateIO, from_lightning, to_lightning
from bakeoff.train.run_state import OldCheckpointError, RunState

from .stops import StopsAfter

COMMAND = ("budget.steps=40", "batch_size=64", "optimizer=adam", "schedule=cosine")


@pytest.fixture
def dumped(make_run, tmp_path, monkeypatch):
    """What Lightning dumped at step 20, in its second epoch."""
    found = []
    save = RunStateIO.save_checkpoint

    def keep(self, checkpoint, path, storage_options=None):
        found.append({**checkpoint})
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(RunStateIO, "save_checkpoint", keep)
    assert make_run(*COMMAND).train(tmp_path, stop=StopsAfter(20)).status == "interrupted"
    return found[-1]


def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if torch.is_tensor(a) else a == b or (a != a and b != b)


def test_there_and_back(dumped):
    state = from_lightning(dumped)
    assert (state.step, state.epoch, state.batch) == (20, 1, 3)  # 17 batches an epoch
    assert state.random is not None
    assert same(to_lightning(state), dumped)


def test_through_a_file(dumped, tmp_path):
    state = from_lightning(dumped)
    torch.save(state.to_file(), tmp_path / "x")
    content = torch.load(tmp_path / "x", weights_only=True)
    assert content["schema"] == 2
    assert set(content["state_dict"]) == set(dumped["state_dict"])
    assert same(vars(RunState.from_file(content)), vars(state))


def test_what_is_dumped_stays_as_it_was(dumped):
    keys = set(dumped["loops"]["fit_loop"]["epoch_loop.state_dict"])
    from_lightning(dumped)
    assert set(dumped["loops"]["fit_loop"]["epoch_loop.state_dict"]) == keys


def test_a_checkpoint_of_an_earlier_version_is_set_aside_with_one_line(make_run, tmp_path, caplog, dumped):
    with pytest.raises(OldCheckpointError, match="schema 1, not 2"):
        RunState.from_file({**dumped, "bakeoff": {"identity": "x"}})
    path = tmp_path / "checkpoints" / "last.ckpt"
    torch.save({**dumped, "bakeoff": {"identity": make_run(*COMMAND).identity}}, path)
    old = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        outcome = make_run(*COMMAND).train(tmp_path)
    (line,) = [record.getMessage() for record in caplog.records if "last.ckpt" in record.getMessage()]
    assert line.endswith("set aside as last.ckpt.old")
    assert "was written by another version of bakeoff" in line
    assert path.with_name("last.ckpt.old").read_bytes() == old
    assert outcome.status == "completed"
    assert outcome.metrics == make_run(*COMMAND).train(tmp_path / "whole").metrics

"""Every point of a main curve has its samples, epochs and seconds, counted here by who sees the batches."""

from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from .stops import StopsAfter

AXES = ("axis/samples", "axis/epochs", "axis/seconds")


def points(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


class Counts(pl.Callback):
    def on_fit_start(self, trainer, pl_module):
        self.samples, self.epochs, self.seen = [0], [0.0], 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.samples.append(self.samples[-1] + len(batch[0]))
        self.epochs.append(trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches)


@pytest.mark.parametrize(("batch_size", "steps"), [("16", 150), ("128", 33), ("full", 23)])
def test_samples_and_epochs_are_those_of_the_batches(make_run, tmp_path, batch_size, steps):
    target = f"+callbacks.counts._target_={__name__}.Counts"
    run = make_run(target, f"batch_size={batch_size}", f"budget.steps={steps}", "budget.validations=7")
    outcome = run.train(tmp_path)
    counts, found = run.callbacks[0], points(tmp_path)
    at = sorted({step for tag in ("train/loss", "val/loss") for step, _ in found[tag]})
    assert len(at) > 6
    for tag in AXES:
        assert [step for step, _ in found[tag]] == at  # each step once, and none of the probe's
    assert [value for _, value in found["axis/samples"]] == [counts.samples[step] for step in at]
    assert [value for _, value in found["axis/epochs"]] == pytest.approx([counts.epochs[step] for step in at])
    assert (at[-1], found["axis/samples"][-1][1]) == (steps, outcome.samples)


class Clock(pl.Callback):
    """A second a step and a hundred a validation; the time is taken where a step ends and nowhere else."""

    now = 1000.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        Clock.now += 1

    def on_validation_end(self, trainer, pl_module):
        Clock.now += 100


def test_seconds_are_those_at_which_a_step_ended(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("bakeoff.train.step_clock.time", SimpleNamespace(monotonic=lambda: Clock.now))
    target = f"+callbacks.clock._target_={__name__}.Clock"
    make_run(target, "budget.steps=125", "budget.validations=2").train(tmp_path)
    found = points(tmp_path)["axis/seconds"]
    assert [step for step, _ in found] == [10, 20, 30, 40, 50, 60, 63, 70, 80, 90, 100, 110, 120, 125]
    assert [value for _, value in found] == [step + (100 if step > 63 else 0) for step, _ in found]


class Stream(IterableDataset):
    def __iter__(self):
        return ((torch.randn(2), 0) for _ in range(40))


class Streamed(pl.LightningDataModule):
    num_classes, batch_size = 2, 8

    def train_dataloader(self):
        return DataLoader(Stream(), self.batch_size)

    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(8, 2), torch.zeros(8, dtype=torch.long)), 8)


def test_what_the_data_does_not_tell_is_left_out(make_run, tmp_path):
    outcome = make_run(f"data._target_={__name__}.Streamed", "batch_size=8", "budget.steps=20").train(tmp_path)
    assert outcome.status == "completed", outcome.error
    found = points(tmp_path)
    assert "axis/samples" not in found
    assert "axis/epochs" not in found
    assert len(found["axis/seconds"]) == 20


class Uneven(Streamed):
    """40 samples in batches of 16, 16 and 8."""

    def train_dataloader(self):
        return DataLoader(Stream(), self.batch_size)


def test_samples_are_counted_where_the_data_does_not_tell(make_run, tmp_path):
    command = (f"data._target_={__name__}.Uneven", "batch_size=16", "budget.steps=8", "checkpoint_every=0")
    assert make_run(*command).train(tmp_path / "whole").samples == 2 * 40 + 16 + 16
    stopped = make_run(*command).train(tmp_path / "pieces", stop=StopsAfter(4))
    assert (stopped.status, stopped.samples) == ("interrupted", 40 + 16)
    assert make_run(*command).train(tmp_path / "pieces").samples == 2 * 40 + 16 + 16

"""Data that is not finite is said as that, with its index, and not as an optimizer that diverged."""

import json
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.data import Arrays
from bakeoff.errors import UserError

FAST = ("budget.epochs=2", "budget.validations=1", "batch_size=8", "model=linear")


class Spoilt(Dataset):
    """60 samples of 3 classes; that of one index holds NaN."""

    num_classes = 3

    def __init__(self, index=None, label=None):
        self.index, self.label = index, label

    def __len__(self):
        return 60

    def __getitem__(self, i):
        x = torch.randn(4, generator=torch.Generator().manual_seed(i))
        if i != self.index:
            return x, i % 3
        return (x * torch.nan, i % 3) if self.label is None else (x, self.label)


class Module(pl.LightningDataModule):
    batch_size = 1

    def __init__(self, index=None):
        super().__init__()
        self.index, self.num_classes = index, 3

    def train_dataloader(self):
        return DataLoader(Spoilt(self.index), batch_size=self.batch_size)

    def val_dataloader(self):
        return DataLoader(Spoilt(), batch_size=self.batch_size)


def arrays(part):
    """As a user's own function gives them, unchecked."""
    made: dict[str, Any] = {name: (torch.randn(20, 4), torch.arange(20) % 3) for name in ("train", "val", "test")}
    made[part][0][7, 1] = torch.nan
    return Arrays(**made, task="classification", n_out=3)


def own(kind, **options):
    return [f"data._target_={__name__}.{kind.__name__}", *(f"+data.{k}={v}" for k, v in options.items())]


def index_in(part, make_run):
    return int(make_run(*own(Spoilt), *FAST).parts.data.indices[part][3])


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("val", "validation"), ("test", "test")])
def test_nan_in_a_dataset(make_run, tmp_path, part, name):
    index = index_in(part, make_run)
    outcome = make_run(*own(Spoilt, index=index), *FAST).train(tmp_path)
    assert outcome.status == "failed"
    assert outcome.error["message"] == (
        f"data: sample {index} of the {name} part holds NaN: drop it, or replace the value"
    )
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert (record["status"], record["error"]["type"]) == ("failed", "UserError")
    if part == "train":
        assert 1 <= outcome.error["step"] <= 5  # the first whose loss was not finite: within the first epoch


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("val", "validation"), ("test", "test")])
def test_a_label_out_of_range_in_a_dataset(make_run, tmp_path, part, name):
    index = index_in(part, make_run)
    outcome = make_run(*own(Spoilt, index=index, label=9), *FAST).train(tmp_path)
    message = f"data: sample {index} of the {name} part has the label 9, but n_out=3: labels must be in [0, 3)"
    assert (outcome.status, outcome.error["message"]) == ("failed", message)


def test_nan_in_a_data_module(make_run, tmp_path):
    outcome = make_run(*own(Module, index=19), *FAST).train(tmp_path)
    assert outcome.status == "failed"
    assert outcome.error["message"] == "data: batch 2 of the training data holds NaN: drop it, or replace the value"


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("val", "validation"), ("test", "test")])
def test_nan_in_arrays_of_ones_own(make_run, part, name):
    message = f"data: sample 7 of the {name} part holds NaN: drop it, or replace the value"
    with pytest.raises(UserError, match=message):
        make_run(*own(arrays, part=part), *FAST)


def test_nan_in_tensors(make_run):
    x = torch.zeros(30, 2)
    x[11, 1] = torch.inf
    tensors = TensorDataset(x, torch.arange(30) % 3)
    from bakeoff.data import as_datamodule

    with pytest.raises(UserError, match=r"x must hold no NaN, infinity .* in the TensorDataset, but sample 11 does"):
        as_datamodule(tensors, batch_size=4, seed=0)


def test_an_optimizer_that_diverges_on_good_data_has_diverged(make_run, tmp_path):
    outcome = make_run(*own(Spoilt), *FAST, "optimizer.lr=1e30", "loss=mse").train(tmp_path)
    assert (outcome.status, outcome.error["type"]) == ("diverged", "Divergence")

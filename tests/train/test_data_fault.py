"""Data that is not finite is said as that, with its index, and not as an optimizer that diverged."""

import json
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

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


class Held(Module):
    """Holds the samples of each part in memory; one of them is spoilt."""

    def __init__(self, part, label=None, form="tensors"):
        super().__init__()
        self.sets = {}
        for name in ("train", "val", "test"):
            samples = [Spoilt(19 if name == part else None, label)[i] for i in range(60)]
            x, y = torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples])
            held: Dataset = TensorDataset(x, y)
            if form == "subset":
                held = Subset(TensorDataset(x.flip(0), y.flip(0)), range(59, -1, -1))
            if form == "targets":
                held = First(TensorDataset(x, y, x), y.tolist())
            self.sets[name] = held

    def train_dataloader(self):
        return DataLoader(self.sets["train"], batch_size=self.batch_size)

    def val_dataloader(self):
        return DataLoader(self.sets["val"], batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.sets["test"], batch_size=self.batch_size)


class First(Dataset):
    def __init__(self, of, targets):
        self.of, self.targets = of, targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.of[i][:2]


class Attribute(Spoilt):
    """Its labels are an attribute of another name than torchvision's, beside one of the same length."""

    def __init__(self, index=None, shift=0):
        super().__init__()
        self.group = [7] * 60
        self.labels = [i % 3 + shift * 5 for i in range(60)]
        if index is not None:
            self.labels[index] = -1
        self.shift = shift

    def __getitem__(self, i):
        return super().__getitem__(i)[0], self.labels[i] - 5 * self.shift


def arrays(part):
    """As a user's own function gives them, unchecked."""
    made: dict[str, Any] = {name: (torch.randn(20, 4), torch.arange(20) % 3) for name in ("train", "val", "test")}
    made[part][0][7, 1] = torch.nan
    return Arrays(**made, task="classification", n_out=3)


def own(kind, **options):
    return [f"data._target_={__name__}.{kind.__name__}", *(f"+data.{k}={v}" for k, v in options.items())]


def index_in(part, make_run):
    return int(make_run(*own(Spoilt), *FAST).parts.data.indices[part][9])  # not among the few that are tried


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


@pytest.mark.parametrize(("part", "name"), [("val", "validation"), ("test", "test")])
def test_nan_in_what_a_data_module_is_measured_by(make_run, tmp_path, part, name):
    outcome = make_run(*own(Held, part=part), *FAST).train(tmp_path)
    assert (outcome.status, outcome.error["message"]) == (
        "failed",
        f"data: batch 2 of the {name} data holds NaN: drop it, or replace the value",
    )


@pytest.mark.parametrize("form", ["tensors", "subset", "targets"])
@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("val", "validation"), ("test", "test")])
def test_a_label_out_of_range_in_a_data_module(make_run, part, name, form):
    message = rf"data: sample 19 of the {name} part has the label 9, but n_out=3: labels must be in \[0, 3\)"
    with pytest.raises(UserError, match=message):
        make_run(*own(Held, part=part, label=9, form=form), *FAST)


class Counted(Held):
    """Labels from 1 to 3 in memory, from 0 to 2 once a batch has been made."""

    def __init__(self):
        super().__init__(None)
        for name, held in self.sets.items():
            assert isinstance(held, TensorDataset)
            self.sets[name] = TensorDataset(held.tensors[0], held.tensors[1] + 1)


class ByCollate(Counted):
    def train_dataloader(self):
        return DataLoader(self.sets["train"], batch_size=self.batch_size, collate_fn=_from_zero)

    def val_dataloader(self):
        return DataLoader(self.sets["val"], batch_size=self.batch_size, collate_fn=_from_zero)

    def test_dataloader(self):
        return DataLoader(self.sets["test"], batch_size=self.batch_size, collate_fn=_from_zero)


class ByHook(Counted):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch[0], batch[1] - 1


class ByHookOfDictionaries(Counted):
    def _collate(self, samples):
        return {"x": torch.stack([x for x, _ in samples]), "y": torch.stack([y for _, y in samples])}

    def train_dataloader(self):
        return DataLoader(self.sets["train"], batch_size=self.batch_size, collate_fn=self._collate)

    def val_dataloader(self):
        return DataLoader(self.sets["val"], batch_size=self.batch_size, collate_fn=self._collate)

    def test_dataloader(self):
        return DataLoader(self.sets["test"], batch_size=self.batch_size, collate_fn=self._collate)

    def on_before_batch_transfer(self, batch, dataloader_idx):
        return batch["x"], batch["y"] - 1


def _from_zero(samples):
    return torch.stack([x for x, _ in samples]), torch.stack([y - 1 for _, y in samples])


@pytest.mark.parametrize("kind", [ByCollate, ByHook, ByHookOfDictionaries], ids=lambda kind: kind.__name__)
def test_labels_that_a_data_module_changes_on_their_way(make_run, tmp_path, kind):
    of_zero = make_run(*own(Held, part="none"), *FAST).train(tmp_path / "zero")
    outcome = make_run(*own(kind), *FAST).train(tmp_path / "one")
    assert (outcome.status, outcome.metrics) == ("completed", of_zero.metrics)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_label_out_of_range_in_an_attribute_of_any_name(make_run, part):
    index = int(make_run(*own(Attribute), *FAST).parts.data.indices[part][17 if part == "train" else 1])
    with pytest.raises(UserError, match=rf"data: sample {index} of the \w+ part has the label -1, but n_out=3"):
        make_run(*own(Attribute, index=index), *FAST)


def test_an_attribute_that_is_no_label_is_none(make_run, tmp_path):
    assert make_run(*own(Attribute, shift=1), *FAST).train(tmp_path).status == "completed"


class FromOne(Spoilt):
    """`targets` holds the labels from 1, and a sample gives them from 0."""

    def __init__(self):
        super().__init__()
        self.targets = [i % 3 + 1 for i in range(60)]


class FromOneModule(Module):
    def train_dataloader(self):
        return DataLoader(FromOne(), batch_size=self.batch_size)


@pytest.mark.parametrize("kind", [FromOne, FromOneModule], ids=lambda kind: kind.__name__)
def test_targets_that_are_not_the_labels(make_run, tmp_path, kind):
    assert make_run(*own(kind), *FAST).train(tmp_path).status == "completed"


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

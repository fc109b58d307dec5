"""A sample that cannot be used is named: its part, its index in the user's data set, and why."""

import pytest
import torch
from torch.utils.data import Dataset

from bakeoff.data import DatasetDataModule, as_datamodule
from bakeoff.data.sample_checks import Labels, find_fault_in_batches
from bakeoff.errors import UserError

N = 60


class Own(Dataset):
    """60 samples of 4 numbers in 3 classes, one of them spoilt."""

    num_classes = 3

    def __init__(self, spoil=lambda i, x, y: (x, y), *, with_targets=False):
        self.spoil = spoil
        if with_targets:
            self.targets = [self[i][1] for i in range(N)]

    def __len__(self):
        return N

    def __getitem__(self, i):
        x, y = torch.full((4,), float(i)), i % 3
        return self.spoil(i, x, y)


def served(dataset, n_out=3, ignore_index=None):
    data, _ = as_datamodule(dataset, batch_size=8, seed=0)
    assert isinstance(data, DatasetDataModule)
    data.use_labels(Labels(n_out, ignore_index))
    return data


def at(index, value):
    def spoil(i, x, y):
        return (torch.where(torch.arange(4) == 2, value, x) if i == index else x), y

    return spoil


def label_at(index, label):
    return lambda i, x, y: (x, label if i == index else y)


def one_of(part):
    return int(served(Own()).indices[part][2])


@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (torch.inf, "infinity"), (-torch.inf, "infinity")])
@pytest.mark.parametrize(("part", "name"), [("val", "validation"), ("test", "test")])
def test_values_of_validation_and_test_that_are_not_finite(part, name, value, word):
    index = one_of(part)
    loader = getattr(served(Own(at(index, value))), f"{part}_dataloader")()
    with pytest.raises(UserError, match=f"^data: sample {index} of the {name} part holds {word}: drop it"):
        list(loader)


def test_a_value_of_training_is_found_when_it_is_looked_for():
    index = one_of("train")
    data = served(Own(at(index, torch.nan)))
    list(data.train_dataloader())  # at no cost until then
    assert data.find_fault().startswith(f"data: sample {index} of the training part holds NaN")
    assert served(Own()).find_fault() is None


def some_are(label):
    """Three samples: one for each part, since the split keeps the proportions of classes."""
    return lambda i, x, y: (x, label if i in (7, 27, 47) else y)


@pytest.mark.parametrize("label", [3, -1, 255])
def test_labels_that_are_no_class_are_found_before_training(label):
    """Where the data set says its labels, as torchvision's do."""
    message = rf"data: sample \d+ of the training part has the label {label}, but n_out=3: labels must be in \[0, 3\)"
    with pytest.raises(UserError, match=message) as refused:
        served(Own(some_are(label), with_targets=True))
    index = int(str(refused.value).split()[2])
    assert index in (7, 27, 47)
    assert served(Own(some_are(label), with_targets=True), ignore_index=label)


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("val", "validation"), ("test", "test")])
@pytest.mark.parametrize("as_type", [int, torch.tensor], ids=["int", "tensor"])
def test_labels_that_nobody_says_are_found_as_they_are_read(part, name, as_type):
    """Before a loss sees them: on a GPU one of them ends the process."""
    index = one_of(part)

    def spoil(i, x, y):
        return x, as_type(7 if i == index else y)

    data = served(Own(spoil))
    with pytest.raises(UserError, match=f"sample {index} of the {name} part has the label 7, but n_out=3"):
        list(getattr(data, f"{part}_dataloader")())
    ignoring = served(Own(spoil), ignore_index=7)
    assert sum(len(y) for _, y in getattr(ignoring, f"{part}_dataloader")()) > 0


def test_dense_labels():
    labels = Labels(3, ignore_index=255)
    y = torch.tensor([[0, 255], [2, 1]])
    assert labels.wrong(y) is None
    assert labels.wrong(torch.where(y == 1, 9, y)) == 9
    assert labels.wrong(torch.rand(3)) is None  # quantities


@pytest.mark.parametrize("batch", [lambda x, y: (x, y), lambda x, y: {"x": x, "y": y}], ids=["pair", "dict"])
def test_batches_of_a_data_module(batch):
    good, bad = torch.ones(2, 3), torch.tensor([1.0, torch.nan])
    batches = [batch(good, torch.tensor([0, 1])), batch(good, bad)]
    assert find_fault_in_batches(batches, "train").startswith("data: batch 1 of the training data holds NaN")
    assert find_fault_in_batches(batches[:1], "train") is None

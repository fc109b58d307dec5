"""A user's LightningDataModule: its batch size is set, and its DataSpec is read off one batch."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, random_split

from bakeoff.data import DataSpec, InMemoryDataModule, as_datamodule, digits
from bakeoff.data.batch_size import BatchSize
from bakeoff.errors import UserError

from .datasets import random_states

SAMPLES = TensorDataset(torch.rand(50, 4), torch.arange(50) % 3)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.rand(2), 1)] * 9)


class Module(L.LightningDataModule):
    """A user's own module over 50 samples of 2x3 with 4 classes."""

    def __init__(self, batch_size=10, drop_last=False):
        super().__init__()
        self.batch_size, self.drop_last = batch_size, drop_last

    def setup(self, stage=None):
        self.data = TensorDataset(torch.rand(50, 2, 3), torch.arange(50) % 4)

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=self.batch_size, shuffle=True, drop_last=self.drop_last)

    def val_dataloader(self):
        return DataLoader(self.data, batch_size=self.batch_size)


def test_reading_a_batch_leaves_global_random_numbers_unchanged():
    before = random_states()
    as_datamodule(Module(), batch_size=4, seed=0)
    assert random_states() == before


def test_wrong_batch_size_is_named():
    with pytest.raises(UserError, match='batch_size must be a whole number >= 1 or "full", got 0'):
        as_datamodule(Module(), batch_size=0, seed=0)


def test_module_is_used_unchanged_but_for_its_batch_size():
    module = Module()
    data, spec = as_datamodule(module, batch_size=20, seed=0)
    assert data is module
    assert module.batch_size == 20
    assert spec == DataSpec(
        task="classification", in_shape=(2, 3), n_out=None, n_train=50, steps_per_epoch=3, has_test=False
    )
    assert spec.n_in == 6


def test_module_that_drops_its_last_batch():
    _, spec = as_datamodule(Module(drop_last=True), batch_size=20, seed=0)
    assert (spec.n_train, spec.steps_per_epoch) == (40, 2)


@pytest.mark.parametrize("drop_last", [False, True])
def test_full_batch_of_a_module(drop_last):
    module = Module(drop_last=drop_last)
    _, spec = as_datamodule(module, batch_size="full", seed=0)
    assert module.batch_size == 50
    assert (spec.n_train, spec.steps_per_epoch) == (50, 1)


def test_batch_size_among_the_hyperparameters():
    class Saved(L.LightningDataModule):
        def __init__(self, batch_size):
            super().__init__()
            self.save_hyperparameters()

        def train_dataloader(self):
            return DataLoader(SAMPLES, batch_size=self.hparams["batch_size"])

        val_dataloader = test_dataloader = train_dataloader

    data, spec = as_datamodule(Saved(batch_size=5), batch_size=25, seed=0)
    assert data.hparams["batch_size"] == 25
    assert spec.steps_per_epoch == 2
    assert spec.has_test


def test_module_that_makes_its_loaders_in_setup():
    class Early(Module):
        num_classes = 4

        def setup(self, stage=None):
            super().setup()
            self.loader = super().train_dataloader()

        def train_dataloader(self):
            return self.loader

    cases: list[tuple[BatchSize, int]] = [(20, 3), ("full", 1)]
    for batch_size, steps in cases:
        _, spec = as_datamodule(Early(), batch_size=batch_size, seed=0)
        assert (spec.steps_per_epoch, spec.n_out) == (steps, 4)


class Own(L.LightningDataModule):
    """Has no batch size to set."""

    def __init__(self, loader):
        super().__init__()
        self.loader = loader

    def train_dataloader(self):
        return self.loader

    def val_dataloader(self):
        return self.loader


class Batches:
    """Batches of these sizes."""

    def __init__(self, *sizes):
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def __iter__(self):
        return ((torch.rand(n, 2), torch.rand(n)) for n in self.sizes)


def test_a_module_with_batches_of_its_own_is_called_by_their_size():
    source = TensorDataset(torch.rand(50, 2), torch.rand(50, 3))
    _, spec = as_datamodule(Own(DataLoader(source, batch_size=25)), batch_size=25, seed=0)
    assert (spec.n_train, spec.steps_per_epoch, spec.task, spec.n_out) == (50, 2, "regression", 3)


@pytest.mark.parametrize(
    ("loader", "asked", "given"),
    [
        (DataLoader(SAMPLES, batch_size=25), 20, 25),
        (DataLoader(SAMPLES, batch_size=25), "full", 25),
        (DataLoader(SAMPLES, batch_size=25), 100, 25),
        (DataLoader(Stream(), batch_size=3), 4, 3),
        (DataLoader(SAMPLES, batch_sampler=[[0, 1], [2]]), 20, 2),
        (Batches(8, 8), 4, 8),
    ],
)
def test_batches_of_another_size_than_the_run_is_called_by_are_refused(loader, asked, given):
    asked_for = 50 if asked == "full" else asked
    message = f"Own gives batches of {given}, not of batch_size={asked_for}: give it an attribute batch_size, or say "
    with pytest.raises(UserError, match=f"{message}batch_size={given}"):
        as_datamodule(Own(loader), batch_size=asked, seed=0)


def test_an_attribute_that_the_loader_does_not_use_is_refused():
    class Fixed(Module):
        def train_dataloader(self):
            return DataLoader(self.data, batch_size=25)

    with pytest.raises(UserError, match="Fixed gives batches of 25, not of batch_size=20: use it in train_dataloader"):
        as_datamodule(Fixed(), batch_size=20, seed=0)


def test_a_training_set_smaller_than_a_batch_is_one_batch():
    for loader in (DataLoader(SAMPLES, batch_size=64), Batches(50)):
        assert as_datamodule(Own(loader), batch_size=64, seed=0)[1].steps_per_epoch == 1


class Anew:
    """An iterable of batches without a length, which starts anew in every pass."""

    def __iter__(self):
        while True:
            yield torch.rand(8, 2), torch.rand(8)


@pytest.mark.parametrize(
    ("loader", "size", "expected"),
    [
        (Anew(), 8, (None, None, "regression", (2,))),
        (DataLoader(Stream(), batch_size=3), 3, (None, None, "classification", (2,))),
        (DataLoader(SAMPLES, batch_sampler=[[0, 1], [2]]), 2, (None, 2, "classification", (4,))),
    ],
    ids=["iterable", "stream", "batch sampler"],
)
def test_unknown_fields_are_none(loader, size, expected):
    _, spec = as_datamodule(Own(loader), batch_size=size, seed=0)
    assert (spec.n_train, spec.steps_per_epoch, spec.task, spec.in_shape) == expected


def test_full_batch_needs_a_known_length():
    with pytest.raises(UserError, match=r'batch_size="full" needs a training set of known length, which Own'):
        as_datamodule(Own(Anew()), batch_size="full", seed=0)


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")  # by Lightning
def test_module_from_datasets_has_its_loaders_on_the_instance():
    data = TensorDataset(torch.rand(50, 2), torch.arange(50) % 2)
    train, val, test = random_split(data, [30, 10, 10])
    module = L.LightningDataModule.from_datasets(train, val, test, batch_size=6)
    _, spec = as_datamodule(module, batch_size=6, seed=0)
    assert (spec.n_train, spec.steps_per_epoch, spec.has_test) == (30, 5, True)


def test_module_without_validation_data_is_refused():
    class Blind(L.LightningDataModule):
        batch_size = 4

        def train_dataloader(self):
            return DataLoader(SAMPLES, batch_size=self.batch_size)

    with pytest.raises(UserError, match="Blind has no val_dataloader"):
        as_datamodule(Blind(), batch_size=4, seed=0)


def test_module_of_ours_is_a_source_too():
    module = InMemoryDataModule(digits(), batch_size=1, seed=0)
    _, spec = as_datamodule(module, batch_size=100, seed=0)
    assert module.batch_size == 100
    assert (spec.steps_per_epoch, spec.in_shape) == (11, (1, 8, 8))

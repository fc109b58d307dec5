"""Every kind of data source becomes a data module, or is refused in one line."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.data import DatasetDataModule, DataSpec, InMemoryDataModule, as_datamodule, digits
from bakeoff.errors import UserError

from .datasets import Augmented, Bare, Endless, random_states


def test_arrays_are_served_from_memory_and_every_field_is_known():
    arrays = digits()
    data, spec = as_datamodule(arrays, batch_size=100, seed=0)
    assert isinstance(data, InMemoryDataModule)
    assert spec == DataSpec(
        task="classification",
        in_shape=(1, 8, 8),
        n_out=10,
        n_train=1077,
        steps_per_epoch=11,
        digest=arrays.digest(),
    )
    assert spec.n_in == 64
    assert isinstance(spec.example, torch.Tensor)
    assert torch.equal(spec.example, arrays.train[0][:2])
    assert spec.has_test


def test_tensors_are_served_from_memory_with_their_values_unchanged():
    tokens = torch.randint(0, 1000, (60, 5), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 3 + 4
    data, spec = as_datamodule(TensorDataset(tokens, labels), batch_size=8, seed=0)

    assert isinstance(data, InMemoryDataModule)
    assert (spec.n_train, spec.n_out, spec.in_shape, spec.task) == (36, 3, (5,), "classification")
    assert spec.digest is not None
    parts = data.arrays.parts().values()
    assert all(x.dtype == torch.int64 for x, _ in parts)
    rows = {tuple(row): int(label) for row, label in zip(tokens.tolist(), labels, strict=True)}
    seen = {tuple(row): int(label) + 4 for x, y in parts for row, label in zip(x.tolist(), y, strict=True)}
    assert seen == rows


def test_tensors_for_regression_keep_their_units():
    x, y = torch.rand(60, 2, dtype=torch.float64) + 5, torch.rand(60) + 100
    data, spec = as_datamodule(TensorDataset(x, y), batch_size=8, seed=0)
    assert isinstance(data, InMemoryDataModule)
    assert (spec.target_mean, spec.target_std, spec.n_out) == (0.0, 1.0, 1)
    assert data.arrays.train[0].dtype == torch.float32
    assert data.arrays.train[0].min() >= 5
    assert data.arrays.train[1].min() >= 100


def test_tensors_of_0_and_1_are_regressed_on_when_they_say_so():
    source = TensorDataset(torch.rand(40, 2), (torch.rand(40, 5) > 0.5).float())
    _, spec = as_datamodule(source, batch_size=4, seed=0)
    assert (spec.task, spec.n_out) == ("multilabel", 5)
    vars(source)["task"] = "regression"
    _, spec = as_datamodule(source, batch_size=4, seed=0)
    assert (spec.task, spec.n_out) == ("regression", 5)


def test_a_subclass_of_tensor_dataset_may_augment():
    class Noisy(TensorDataset):
        pass

    data, _ = as_datamodule(Noisy(torch.rand(30, 2), torch.arange(30) % 2), batch_size=8, seed=0)
    assert isinstance(data, DatasetDataModule)


def test_reading_a_sample_leaves_global_random_numbers_unchanged():
    before = random_states()
    as_datamodule(Augmented(), batch_size=4, seed=0)
    assert random_states() == before


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Bare(lambda i: torch.rand(2)), r"Bare must give .* got a Tensor"),
        (Bare(lambda i: {"x": 1.0}), r"Bare must give .* got a dict of x"),
        (Bare(lambda i: (torch.rand(2), "label")), r"Bare must give \(x, y\)"),
        (Bare(lambda i: (object(), 1)), "add a transform such as ToTensor"),
        (Bare(lambda i: (1.0, 1), n=2), "must leave samples to train on, got 2 samples"),
        (Bare(lambda i: (1.0, 1), n=0), "must leave samples to train on, got 0 samples"),
        (TensorDataset(torch.rand(20, 2)), r"TensorDataset must give .* got a tuple of 1"),
        (TensorDataset(torch.full((20, 2), torch.nan), torch.arange(20)), "x must hold no NaN"),
        ([1, 2, 3], "data must be Arrays, a Dataset with a length or a LightningDataModule, got list"),
        (DataLoader(Bare(lambda i: i, n=2)), "got DataLoader: wrap it in a LightningDataModule"),
        (Endless(), "got Endless: wrap it"),
        (type("Unsized", (Dataset,), {})(), "got Unsized: wrap it"),
    ],
)
def test_unsupported_sources_are_refused_in_one_line(source, message):
    with pytest.raises(UserError, match=message) as caught:
        as_datamodule(source, batch_size=4, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", [digits(), Augmented()], ids=lambda source: type(source).__name__)
def test_wrong_batch_size_and_seed_are_named(source):
    with pytest.raises(UserError, match='batch_size must be a whole number >= 1 or "full", got 0'):
        as_datamodule(source, batch_size=0, seed=0)
    with pytest.raises(UserError, match="seed must be a whole number >= 0, got -1"):
        as_datamodule(source, batch_size=4, seed=-1)


def test_arrays_given_are_not_changed():
    arrays = digits()
    before = arrays.digest()
    data, _ = as_datamodule(arrays, batch_size=100, seed=0)
    list(data.train_dataloader())
    assert isinstance(data, InMemoryDataModule)
    assert data.arrays is arrays
    assert arrays.digest() == before

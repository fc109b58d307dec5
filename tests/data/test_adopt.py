import random

import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from bakeoff.data import Arrays, DataSpec, ResidentData, adopt, diabetes, digits
from bakeoff.data.mapped import MappedData
from bakeoff.data.order import epoch_order
from bakeoff.errors import UserError


class Augmented(Dataset):
    """60 samples of 4 numbers, their first the index, the others drawn anew each time; 3 classes."""

    classes = ("ant", "bee", "cow")

    def __init__(self, n=60):
        self.targets = [i % 3 for i in range(n)]

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        random.random()
        return torch.cat([torch.tensor([float(i)]), torch.rand(3) + np.random.rand()]), self.targets[i]  # noqa: NPY002


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


class Bare(Dataset):
    """Samples made by a function of their index, and no attributes."""

    def __init__(self, make, n=20):
        self.make, self.n = make, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.make(i)


def indices(loader):
    return torch.cat([x[:, 0] for x, _ in loader]).long().tolist()


def random_states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


def test_arrays_become_resident_data_and_all_is_known():
    arrays = digits()
    data, spec = adopt(arrays, batch_size=100, seed=0)
    assert isinstance(data, ResidentData)
    assert spec == DataSpec(
        task="classification",
        in_shape=(1, 8, 8),
        n_out=10,
        n_train=1077,
        steps_per_epoch=11,
        digest=arrays.digest(),
    )
    assert spec.n_in == 64
    assert torch.equal(spec.example, arrays.train[0][:2])
    assert spec.has_test


def test_regression_arrays_tell_how_to_undo_their_standardisation():
    arrays = diabetes()
    _, spec = adopt(arrays, batch_size="full", seed=0)
    assert (spec.task, spec.n_out, spec.steps_per_epoch) == ("regression", 1, 1)
    assert (spec.target_mean, spec.target_std) == (arrays.target_mean, arrays.target_std)


def test_tensors_become_resident_data_with_their_values_as_they_are():
    tokens = torch.randint(0, 1000, (60, 5), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 3 + 4
    data, spec = adopt(TensorDataset(tokens, labels), batch_size=8, seed=0)

    assert isinstance(data, ResidentData)
    assert (spec.n_train, spec.n_out, spec.in_shape, spec.task) == (36, 3, (5,), "classification")
    assert spec.digest is not None
    parts = data.arrays.parts().values()
    assert all(x.dtype == torch.int64 for x, _ in parts)
    rows = {tuple(row): int(label) for row, label in zip(tokens.tolist(), labels, strict=True)}
    seen = {tuple(row): int(label) + 4 for x, y in parts for row, label in zip(x.tolist(), y, strict=True)}
    assert seen == rows


def test_tensors_for_regression_keep_their_units():
    x, y = torch.rand(60, 2, dtype=torch.float64) + 5, torch.rand(60) + 100
    data, spec = adopt(TensorDataset(x, y), batch_size=8, seed=0)
    assert (spec.target_mean, spec.target_std, spec.n_out) == (0.0, 1.0, 1)
    assert data.arrays.train[0].dtype == torch.float32
    assert data.arrays.train[0].min() >= 5
    assert data.arrays.train[1].min() >= 100


def test_a_subclass_of_tensor_dataset_may_augment():
    class Noisy(TensorDataset):
        pass

    data, _ = adopt(Noisy(torch.rand(30, 2), torch.arange(30) % 2), batch_size=8, seed=0)
    assert isinstance(data, MappedData)


def test_dataset_is_split_and_stratified_and_its_spec_inferred():
    data, spec = adopt(Augmented(), batch_size=16, seed=0)

    assert spec == DataSpec(task="classification", in_shape=(4,), n_out=3, n_train=36, steps_per_epoch=3, digest=None)
    parts = {part: indices(getattr(data, f"{part}_dataloader")()) for part in ("train", "val", "test")}
    assert sorted(i for part in parts.values() for i in part) == list(range(60))
    for part, n in [("train", 12), ("val", 4), ("test", 4)]:
        assert np.bincount([i % 3 for i in parts[part]]).tolist() == [n] * 3
    assert parts["val"] == sorted(parts["val"])


def test_dataset_split_does_not_follow_the_seed_of_the_run():
    one, other = (adopt(Augmented(), batch_size=16, seed=seed)[0] for seed in (0, 1))
    assert indices(one.val_dataloader()) == indices(other.val_dataloader())
    assert indices(one.train_dataloader()) != indices(other.train_dataloader())
    third, _ = adopt(Augmented(), batch_size=16, seed=0, split_seed=1, val_size=6, test_size=0.5)
    assert [len(index) for index in third.indices.values()] == [24, 30, 6]


def test_dataset_is_served_in_an_order_of_seed_and_epoch():
    data, _ = adopt(Augmented(), batch_size=16, seed=3)
    loader = data.train_dataloader()
    for epoch in range(3):
        batches = list(loader)
        assert [len(y) for _, y in batches] == [16, 16, 4]
        expected = data.indices["train"][epoch_order(36, 3, epoch).numpy()]
        assert indices(batches) == expected.tolist()


def test_dataset_is_read_anew_every_epoch():
    data, _ = adopt(Augmented(), batch_size=16, seed=3)
    loader = data.val_dataloader()
    first, second = next(iter(loader))[0], next(iter(loader))[0]
    assert torch.equal(first[:, 0], second[:, 0])
    assert not torch.equal(first[:, 1:], second[:, 1:])


class Counter(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(())), []

    def training_step(self, batch):
        self.seen += batch[0][:, 0].long().tolist()
        return self.weight * batch[0].mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning's advice on speed
def test_lightning_shuffles_a_dataset_anew_every_epoch(tmp_path):
    data, _ = adopt(Augmented(), batch_size=16, seed=3)
    module = Counter()
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=0,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, train_dataloaders=data.train_dataloader())
    orders = [data.indices["train"][epoch_order(36, 3, epoch).numpy()] for epoch in range(2)]
    assert module.seen == np.concatenate(orders).tolist()


def test_full_batch_of_a_dataset():
    data, spec = adopt(Augmented(), batch_size="full", seed=0)
    assert spec.steps_per_epoch == 1
    assert [len(y) for _, y in data.train_dataloader()] == [36]


def test_looking_at_a_sample_leaves_global_random_numbers_alone():
    before = random_states()
    adopt(Augmented(), batch_size=4, seed=0)
    assert random_states() == before


def test_serving_a_dataset_leaves_global_random_numbers_alone():
    data, _ = adopt(Bare(lambda i: (float(i), i % 2)), batch_size=4, seed=0)
    before = random_states()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        list(loader)
    assert random_states() == before


@pytest.mark.parametrize(
    ("make", "attributes", "facts"),
    [
        (lambda i: (torch.rand(2, 3), i % 2), {}, ("classification", (2, 3), None)),
        (lambda i: (np.zeros((2, 3), np.float32), i % 2), {"n_out": 7}, ("classification", (2, 3), 7)),
        (lambda i: (torch.rand(2), i % 2), {"num_classes": 5}, ("classification", (2,), 5)),
        (lambda i: (torch.rand(2), i % 2), {"n_classes": 4}, ("classification", (2,), 4)),
        (lambda i: (torch.rand(2), i % 2), {"classes": ["a", "b", "c"]}, ("classification", (2,), 3)),
        (lambda i: (torch.rand(2), i % 2), {"targets": [0, 1, 2, 3] * 5}, ("classification", (2,), 4)),
        (lambda i: (torch.rand(2), i % 2), {"targets": ["x"] * 20}, ("classification", (2,), None)),
        (lambda i: (torch.rand(2), i % 2), {"targets": [0, 1]}, ("classification", (2,), None)),
        (lambda i: (torch.rand(2), i % 2), {"targets": 3}, ("classification", (2,), None)),
        (lambda i: (torch.rand(2), torch.tensor(i % 2 == 0)), {}, ("classification", (2,), None)),
        (lambda i: (torch.rand(2), float(i)), {"n_out": 9}, ("regression", (2,), 1)),
        (lambda i: (torch.rand(2), torch.rand(3)), {"targets": torch.rand(20, 3)}, ("regression", (2,), 3)),
        (lambda i: (float(i), torch.rand(2, 2)), {}, ("regression", (), None)),
        (lambda i: [torch.rand(2), i], {}, ("classification", (2,), None)),
    ],
)
def test_what_a_dataset_tells_of_itself(make, attributes, facts):
    source = Bare(make)
    for name, value in attributes.items():
        setattr(source, name, value)
    _, spec = adopt(source, batch_size=4, seed=0)
    assert (spec.task, spec.in_shape, spec.n_out) == facts
    assert (spec.n_train, spec.steps_per_epoch) == (12, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Bare(lambda i: torch.rand(2)), r"Bare must give \(x, y\), got Tensor"),
        (Bare(lambda i: {"x": 1.0}), r"Bare must give \(x, y\), got dict"),
        (Bare(lambda i: (torch.rand(2), "label")), r"Bare must give \(x, y\)"),
        (Bare(lambda i: (object(), 1)), "add a transform such as ToTensor"),
        (Bare(lambda i: (1.0, 1), n=2), "must leave samples to train on, got 2 samples"),
        (Bare(lambda i: (1.0, 1), n=0), "must leave samples to train on, got 0 samples"),
        (TensorDataset(torch.rand(20, 2)), r"TensorDataset must give \(x, y\), got tuple"),
        (TensorDataset(torch.full((20, 2), torch.nan), torch.arange(20)), "x must hold no NaN"),
        ([1, 2, 3], "data must be Arrays, a Dataset with a length or a LightningDataModule, got list"),
        (DataLoader([1, 2]), "got DataLoader: wrap it in a LightningDataModule"),
        (Endless(), "got Endless: wrap it"),
        (type("Unsized", (Dataset,), {})(), "got Unsized: wrap it"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(source, message):
    with pytest.raises(UserError, match=message) as caught:
        adopt(source, batch_size=4, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", [digits(), Augmented()], ids=lambda source: type(source).__name__)
def test_wrong_batch_size_and_seed_are_named(source):
    with pytest.raises(UserError, match='batch_size must be a whole number >= 1 or "full", got 0'):
        adopt(source, batch_size=0, seed=0)
    with pytest.raises(UserError, match="seed must be a whole number >= 0, got -1"):
        adopt(source, batch_size=4, seed=-1)


def test_source_of_arrays_is_left_alone():
    arrays = digits()
    before = arrays.digest()
    data, _ = adopt(arrays, batch_size=100, seed=0)
    list(data.train_dataloader())
    assert isinstance(data.arrays, Arrays)
    assert arrays.digest() == before

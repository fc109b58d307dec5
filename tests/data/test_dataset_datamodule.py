"""A map-style Dataset is split by its own seed and served in an order of seed and epoch."""

import lightning as L
import numpy as np
import pytest
import torch

from bakeoff.data import DatasetDataModule, DataSpec, as_datamodule
from bakeoff.data.order import epoch_order

from .datasets import Augmented, Bare, indices, random_states


def served(**options):
    data, _ = as_datamodule(Augmented(), **options)
    assert isinstance(data, DatasetDataModule)
    return data


def test_dataset_is_split_and_stratified_and_its_spec_inferred():
    data, spec = as_datamodule(Augmented(), batch_size=16, seed=0)

    assert spec == DataSpec(task="classification", in_shape=(4,), n_out=3, n_train=36, steps_per_epoch=3, digest=None)
    parts = {part: indices(getattr(data, f"{part}_dataloader")()) for part in ("train", "val", "test")}
    assert sorted(i for part in parts.values() for i in part) == list(range(60))
    for part, n in [("train", 12), ("val", 4), ("test", 4)]:
        assert np.bincount([i % 3 for i in parts[part]]).tolist() == [n] * 3
    assert parts["val"] == sorted(parts["val"])


def test_dataset_split_does_not_follow_the_seed_of_the_run():
    one, other = (as_datamodule(Augmented(), batch_size=16, seed=seed)[0] for seed in (0, 1))
    assert indices(one.val_dataloader()) == indices(other.val_dataloader())
    assert indices(one.train_dataloader()) != indices(other.train_dataloader())
    third = served(batch_size=16, seed=0, split_seed=1, val_size=6, test_size=0.5)
    assert [len(index) for index in third.indices.values()] == [24, 30, 6]


def test_dataset_is_served_in_an_order_of_seed_and_epoch():
    data = served(batch_size=16, seed=3)
    loader = data.train_dataloader()
    for epoch in range(3):
        batches = list(loader)
        assert [len(y) for _, y in batches] == [16, 16, 4]
        expected = data.indices["train"][epoch_order(36, 3, epoch).numpy()]
        assert indices(batches) == expected.tolist()


def test_dataset_is_read_anew_every_epoch():
    data = served(batch_size=16, seed=3)
    loader = data.train_dataloader()
    first, second = (torch.cat([x for x, _ in loader]) for _ in range(2))
    first, second = first[first[:, 0].argsort()], second[second[:, 0].argsort()]
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
    data = served(batch_size=16, seed=3)
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
    data, spec = as_datamodule(Augmented(), batch_size="full", seed=0)
    assert spec.steps_per_epoch == 1
    assert [len(y) for _, y in data.train_dataloader()] == [36]


def test_serving_a_dataset_leaves_global_random_numbers_alone():
    data, _ = as_datamodule(Bare(lambda i: (float(i), i % 2)), batch_size=4, seed=0)
    before = random_states()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        list(loader)
    assert random_states() == before

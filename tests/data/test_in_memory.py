"""Arrays in memory, served to a Lightning trainer."""

from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from bakeoff.data import Arrays, InMemoryDataModule, array
from bakeoff.data.order import epoch_order
from bakeoff.errors import UserError

from .samples import numbered, order_of


def arrays(n=50):
    return Arrays(numbered(n), numbered(20), numbered(30), task="classification", n_out=100)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "half", None, float("nan")])
def test_wrong_batch_size_is_named(batch_size):
    expected = f'batch_size must be a whole number >= 1 or "full", got {batch_size!r}'
    with pytest.raises(UserError) as caught:
        InMemoryDataModule(arrays(), batch_size=batch_size, seed=0)
    assert str(caught.value) == expected


def test_wrong_eval_batch_size_and_seed_are_named():
    with pytest.raises(UserError, match=r"^eval_batch_size must be a whole number >= 1"):
        InMemoryDataModule(arrays(), batch_size=1, seed=0, eval_batch_size=0)
    seeds: tuple[Any, ...] = (-1, 1.5, None)
    for seed in seeds:
        with pytest.raises(UserError, match="seed must be a whole number >= 0, got"):
            InMemoryDataModule(arrays(), batch_size=1, seed=seed)


def test_evaluation_is_in_order():
    data = InMemoryDataModule(arrays(), batch_size=8, seed=0, eval_batch_size=7)
    data.setup()
    assert [len(y) for _, y in data.val_dataloader()] == [7, 7, 6]
    assert order_of(data.val_dataloader()) == list(range(20))
    assert order_of(data.test_dataloader()) == list(range(30))
    assert len(data.val_dataloader()) == 3
    loader = data.val_dataloader()
    assert order_of(loader) == order_of(loader)


@pytest.mark.parametrize(("shape", "expected"), [((8, 8), 4096), ((3, 64, 64), 341), ((2**23,), 1)])
def test_evaluation_batches_are_bounded_by_samples_and_by_memory(shape, expected):
    x = torch.zeros(1).expand(4, *shape)  # takes no memory
    part = x, torch.arange(4)
    data = InMemoryDataModule(Arrays(part, part, part, task="classification", n_out=4), batch_size=2, seed=0)
    assert data.eval_batch_size == expected


class Recorder(L.LightningModule):
    """Learns nothing; notes which samples it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated, self.addresses = [], [], set()

    def training_step(self, batch):
        x, y = batch
        self.seen.append((self.current_epoch, y.tolist()))
        return self.weight * x.mean()

    def validation_step(self, batch):
        self.validated += batch[1].tolist()
        self.addresses.add(batch[0].untyped_storage().data_ptr())

    def test_step(self, batch):
        self.validated += batch[1].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **options):
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **{"enable_checkpointing": False, "log_every_n_steps": 1} | options,
    )


def expected(epochs, n=50, size=16, seed=5):
    return [(epoch, batch.tolist()) for epoch in epochs for batch in epoch_order(n, seed, epoch).split(size)]


def test_lightning_trains_on_another_order_every_epoch(tmp_path):
    data, module = InMemoryDataModule(arrays(), batch_size=16, seed=5), Recorder()

    fit = trainer(tmp_path, max_epochs=3, num_sanity_val_steps=2)
    fit.fit(module, datamodule=data)

    assert module.seen == expected(range(3))
    assert module.validated == list(range(20)) * 4
    assert module.addresses == {data.arrays.val[0].untyped_storage().data_ptr()}  # no copy on its own device
    fit.test(module, datamodule=data, verbose=False)
    assert module.validated[-30:] == list(range(30))


def test_a_resumed_run_meets_the_orders_that_it_would_have_met(tmp_path):
    first = trainer(tmp_path, max_epochs=2)
    first.fit(Recorder(), datamodule=InMemoryDataModule(arrays(), batch_size=16, seed=5))
    first.save_checkpoint(tmp_path / "two.ckpt")

    module = Recorder()
    data = InMemoryDataModule(arrays(), batch_size=16, seed=5)
    trainer(tmp_path, max_epochs=4).fit(module, datamodule=data, ckpt_path=tmp_path / "two.ckpt", weights_only=True)

    assert module.seen == expected([2, 3])


def test_epochs_cut_short_still_differ(tmp_path):
    module = Recorder()
    data = InMemoryDataModule(arrays(), batch_size=16, seed=5)
    trainer(tmp_path, max_epochs=2, limit_train_batches=2).fit(module, datamodule=data)
    assert module.seen == expected([0])[:2] + expected([1])[:2]


def test_parts_move_to_the_device_of_the_trainer_once(tmp_path):
    class Strategy:
        root_device = torch.device("meta")

    class Trainer:
        strategy = Strategy()

    data = InMemoryDataModule(arrays(), batch_size=16, seed=0)
    data.trainer = Trainer()  # type: ignore[assignment]  # all that `setup` reads of one
    data.setup("fit")
    first = data.train_dataloader().x
    data.setup("test")
    assert first.device.type == "meta"
    assert data.train_dataloader().x is first
    assert data.arrays.train[0].device.type == "cpu"
    batch = next(iter(data.val_dataloader()))
    assert data.transfer_batch_to_device(batch, torch.device("cpu"), 0) is batch


def test_regression_targets_come_in_columns():
    rng = np.random.default_rng(0)
    data = InMemoryDataModule(array(x=rng.normal(size=(50, 3)), y=rng.normal(size=50)), batch_size=8, seed=0)
    x, y = next(iter(data.train_dataloader()))
    assert x.shape == (8, 3)
    assert y.shape == (8, 1)

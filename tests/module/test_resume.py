"""A training that is resumed from a step boundary ends with the weights of one that was never stopped, to the bit."""

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.data import Arrays, InMemoryDataModule, ShuffledBatches
from bakeoff.losses import CrossEntropy
from bakeoff.module import Resumable, SupervisedModule, use_lean_loop

from .lean import SGD, Loader, X, Y, trainer

STEPS = 17  # of 7 an epoch


class Shuffled(pl.LightningDataModule):
    """Draws the order of its batches from the global random numbers, as torch's own loader does."""

    def train_dataloader(self):
        return DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)

    def val_dataloader(self):
        return Loader()


def in_memory():
    return InMemoryDataModule(Arrays((X, Y), (X, Y), (X, Y), task="classification", n_out=3), batch_size=8, seed=0)


class Keep(pl.Callback):
    """The samples that each step saw."""

    def __init__(self):
        self.samples = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.samples.append(batch[1].tolist())


def train(tmp_path, data, *, save_at=None, resume=None):
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    keep = Keep()
    runner = trainer(tmp_path, keep, max_steps=STEPS, max_epochs=-1)

    def save():
        if runner.global_step == save_at:
            runner.save_checkpoint(tmp_path / "boundary.ckpt")

    use_lean_loop(runner, validation_due=lambda step: step % 5 == 0, on_step_boundary=save)
    module = SupervisedModule(net, CrossEntropy(), SGD, n_out=3)
    runner.fit(module, datamodule=data(), ckpt_path=resume, weights_only=True)
    return [p.detach().clone() for p in net.parameters()], keep.samples


@pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable.*")  # ours is brought to its position
@pytest.mark.parametrize("step", [1, 5, 7, 8, 13, 14, 15], ids="stopped after {}".format)
@pytest.mark.parametrize("data", [in_memory, Shuffled], ids=["in memory", "DataLoader"])
def test_a_resumed_training_sees_the_same_batches_and_ends_with_the_same_weights(tmp_path, data, step):
    expected, samples = train(tmp_path, data, save_at=step)
    weights, rest = train(tmp_path, data, resume=tmp_path / "boundary.ckpt")
    assert rest == samples[step:]
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


def test_our_own_batches_are_resumable_and_a_data_loader_is_not():
    assert isinstance(ShuffledBatches(X, Y, batch_size=8, seed=0), Resumable)
    assert not isinstance(DataLoader(TensorDataset(X, Y)), Resumable)

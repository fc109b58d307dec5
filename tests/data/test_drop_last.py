"""`drop_last` leaves out the samples of an incomplete last batch: others in each epoch, the same ones for a seed."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from bakeoff.data import array, as_datamodule
from bakeoff.data.order import epoch_order
from bakeoff.errors import UserError

from .datasets import Augmented

N = 100  # of which 60 are for training


def arrays(drop_last=True):
    x = np.arange(float(N))[:, None]
    return array(x=x, y=np.arange(N) % 2, drop_last=drop_last)


def served(source, batch_size, **options):
    return as_datamodule(source, batch_size=batch_size, seed=3, **options)


SOURCES = {
    "arrays": lambda: (arrays(), {}),
    "arrays of a user's function": lambda: (arrays(drop_last=False), {"drop_last": True}),
    "TensorDataset": lambda: (TensorDataset(torch.arange(float(N))[:, None], torch.arange(N) % 2), {"drop_last": True}),
    "Dataset": lambda: (Augmented(n=102), {"drop_last": True}),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize(("batch_size", "n"), [(8, 56), (60, 60), (59, 59), (1, 60), (1000, 60), ("full", 60)])
def test_what_is_told_is_what_is_served(source, batch_size, n):
    source, options = source()
    data, spec = served(source, batch_size, **options)
    loader = data.train_dataloader()
    for _ in range(2):
        sizes = [len(y) for _, y in loader]
        assert len(set(sizes)) == 1  # every batch is whole
        assert (sum(sizes), len(sizes)) == (n, len(loader)) == (spec.n_train, spec.steps_per_epoch)
    assert data.n_dropped == 60 - n
    assert sum(len(y) for _, y in data.val_dataloader()) in (20, 21)  # whole, whatever is dropped of training


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_order_is_that_of_all_samples_and_the_last_ones_are_left_out(source):
    source, options = source()
    whole, _ = served(source, 60, **options)
    data, _ = served(source, 8, **options)
    loader, first = data.train_dataloader(), {}
    for epoch in range(3):
        order = epoch_order(60, 3, epoch)[:56]
        seen = torch.cat([x[:, 0] for x, _ in loader])
        all_samples = first.setdefault("x", in_order(whole))
        torch.testing.assert_close(seen, all_samples[order])


def in_order(data):
    if hasattr(data, "arrays"):
        return data.arrays.train[0][:, 0]
    return torch.tensor([data.dataset[int(i)][0][0] for i in data.indices["train"]])


def test_a_data_module_makes_its_own_batches():
    import lightning as L

    class Own(L.LightningDataModule):
        pass

    with pytest.raises(UserError, match=r"data\.drop_last is not Own's, .*: set it in train_dataloader"):
        served(Own(), 8, drop_last=True)

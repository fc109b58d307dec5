"""Data sets as users write them, and the states of the global random numbers."""

import random

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset


class Augmented(Dataset):
    """60 samples of 4 numbers, their first the index, the others drawn anew each time in training; 3 classes."""

    classes = ("ant", "bee", "cow")

    def __init__(self, n=60):
        self.targets = [i % 3 for i in range(n)]
        self.transform, self.val_transform = _with_random_numbers, _with_zeros

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.transform(torch.tensor([float(i)])), self.targets[i]


def _with_random_numbers(x):
    random.random()
    return torch.cat([x, torch.rand(3) + np.random.rand()])  # noqa: NPY002


def _with_zeros(x):
    return torch.cat([x, torch.zeros(3)])


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


def drawn(i, *shape):
    """Random numbers, the same ones for the same index."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(i))


def indices(loader):
    return torch.cat([x[:, 0] for x, _ in loader]).long().tolist()


def random_states():
    return random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

"""Data sets as users write them, and the states of the global random numbers."""

import random

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset


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
    return random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

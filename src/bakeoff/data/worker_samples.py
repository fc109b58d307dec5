"""Samples that are read in worker processes: what one draws depends on seed, epoch and sample, not on the process."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from bakeoff.data.order import check_seed, epoch_order


class EpochAndSample(Sampler[tuple[int, int]]):
    """The order of `EpochSampler`, each number together with the epoch, which the processes do not know.

    The epoch is the one that was set last: processes read ahead, so that the end of a pass is not seen here. Lightning
    sets it before each of its epochs.
    """

    def __init__(self, n: int, seed: int, n_dropped: int = 0) -> None:
        self.n, self.seed, self.n_dropped, self.epoch = n, check_seed(seed), n_dropped, 0

    def __len__(self) -> int:
        return self.n - self.n_dropped

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, order = self.epoch, epoch_order(self.n, self.seed, self.epoch)[: len(self)]
        return ((epoch, position) for position in order.tolist())


class SeededSamples(Dataset):
    """The samples of `dataset` at `indices`, each read after the global random numbers are seeded for it.

    torch's, NumPy's and Python's are seeded by `(seed, epoch, index)`, so that a random augmentation is the same with
    any number of workers, and in a run that is resumed.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int], seed: int) -> None:
        self.dataset, self.indices, self.seed = dataset, indices, seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: int | tuple[int, int]) -> Any:
        """`key` is the position, of epoch 0, or (epoch, position)."""
        epoch, position = key if isinstance(key, tuple) else (0, key)
        index = self.indices[position]
        state = np.random.SeedSequence([self.seed, epoch, index]).generate_state(3)
        torch.default_generator.manual_seed(int(state[0]))  # the CPU's alone: a worker must not start CUDA
        np.random.seed(int(state[1]))  # noqa: NPY002  # the global one, which data sets draw from
        random.seed(int(state[2]))
        return self.dataset[index]

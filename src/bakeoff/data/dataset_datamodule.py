"""A user's map-style Dataset, split and served by DataLoaders."""

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_per_batch
from bakeoff.data.infer import find_labels
from bakeoff.data.order import EpochSampler
from bakeoff.data.split import Sizes, split


class DatasetDataModule(L.LightningDataModule):
    """Train, validation and test parts of one data set, each sample read again in every epoch.

    No sample is cached, since `dataset[i]` may augment at random. The split depends on `split_seed`
    alone, and is stratified where the data set has `targets` of whole numbers. The order of the training data
    depends on the seed and the epoch alone. Validation and test batches are of the same size, in order.
    """

    def __init__(self, dataset: Dataset, *, batch_size: BatchSize, seed: int, sizes: Sizes, split_seed: int) -> None:
        super().__init__()
        labels = find_labels(dataset)
        self.indices = split(
            len(dataset),  # type: ignore[arg-type]  # `as_datamodule` has checked that it has a length
            sizes,
            split_seed=split_seed,
            labels=None if labels is None else np.asarray(labels),
        )
        self.dataset, self.seed = dataset, seed
        self.batch_size = check_batch_size(batch_size)

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches, from epoch 0; the last may be smaller."""
        return self._loader("train", EpochSampler(len(self.indices["train"]), self.seed))

    def val_dataloader(self) -> DataLoader:
        """Validation batches in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        """Test batches in order."""
        return self._loader("test")

    def _loader(self, part: str, sampler: Sampler[int] | None = None) -> DataLoader:
        subset = Subset(self.dataset, self.indices[part].tolist())
        # a DataLoader draws a seed on every pass: not from the global random numbers, which the net uses
        generator = torch.Generator().manual_seed(self.seed)
        size = samples_per_batch(self.batch_size, len(self.indices["train"]))
        return DataLoader(subset, batch_size=size, sampler=sampler, generator=generator)

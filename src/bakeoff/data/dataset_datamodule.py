"""A user's map-style Dataset, split and served by DataLoaders."""

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_dropped, samples_per_batch
from bakeoff.data.eval_transform import evaluation_view
from bakeoff.data.held_labels import held_labels
from bakeoff.data.infer import find_labels
from bakeoff.data.order import EpochSampler
from bakeoff.data.sample_checks import NAMES, CheckedCollate, Labels, find_fault
from bakeoff.data.share import WHOLE
from bakeoff.data.split import Sizes, split
from bakeoff.data.worker_samples import EpochAndSample, SeededSamples
from bakeoff.errors import UserError

TRIED = 2  # validation samples, by which it is seen whether a transform is random


class DatasetDataModule(L.LightningDataModule):
    """Train, validation and test parts of one data set, each sample read again in every epoch.

    No sample is cached, since `dataset[i]` may augment at random. The split depends on `split_seed`
    alone, and is stratified where the data set has `targets` of whole numbers. The order of the training data
    depends on the seed and the epoch alone. Validation and test batches are of the same size, in order, and of samples
    without augmentation (`bakeoff.data.eval_transform`). A sample that cannot be used is named (`.sample_checks`).
    With `num_workers`, that many processes read the samples of each part; they live as long as the loader is in use.
    What a training sample draws is then seeded by itself (`.worker_samples`); without them it follows what was drawn
    before.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: BatchSize,
        seed: int,
        sizes: Sizes,
        split_seed: int,
        drop_last: bool = False,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        labels = find_labels(dataset)
        self.indices = split(
            len(dataset),  # type: ignore[arg-type]  # `as_datamodule` has checked that it has a length
            sizes,
            split_seed=split_seed,
            labels=None if labels is None else np.asarray(labels),
        )
        self.dataset, self.seed, self.num_workers, self.pin_memory = dataset, seed, num_workers, pin_memory
        self.batch_size = check_batch_size(batch_size)
        self.n_dropped = samples_dropped(batch_size, len(self.indices["train"]), drop_last)
        self.evaluated = evaluation_view(dataset, self.indices["val"][:TRIED].tolist())
        self.share = WHOLE  # to be set where several processes train one run
        self.labels: Labels | None = None
        self.checks_values = True  # those of validation and test: that they are finite
        self._known_labels = held_labels(dataset, self.indices["train"].tolist())

    def use_labels(self, labels: Labels) -> None:
        """Says which labels are classes. Raises UserError if the data set has `targets` that are none."""
        self.labels = labels
        if self._known_labels is not None and labels.wrong(self._known_labels) is not None:
            for part, indices in self.indices.items():
                label = labels.wrong(self._known_labels[indices])
                if label is not None:
                    index = next(int(i) for i in indices if int(self._known_labels[int(i)]) == label)
                    raise UserError(f"data: sample {index} of the {NAMES[part]} part {labels.describe(label)}")

    def find_fault(self) -> str | None:
        """The first training sample that cannot be used, and why; reads them one by one."""
        with isolate_rng(include_cuda=False):
            return find_fault(self.dataset, self.indices["train"], "train", self.labels)

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches, from epoch 0; the last may be smaller."""
        n = len(self.indices["train"])
        if self.num_workers:
            return self._loader("train", EpochAndSample(n, self.seed, self.n_dropped))
        size = samples_per_batch(self.batch_size, n)
        sampler = EpochSampler(n, self.seed, self.n_dropped, share=self.share, batch_size=size)
        return self._loader("train", sampler)

    def val_dataloader(self) -> DataLoader:
        """Validation batches in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        """Test batches in order."""
        return self._loader("test")

    def _loader(self, part: str, sampler: Sampler[Any] | None = None) -> DataLoader:
        dataset, indices = self.dataset if part == "train" else self.evaluated, self.indices[part].tolist()
        # a DataLoader draws a seed on every pass: not from the global random numbers, which the net uses
        generator = torch.Generator().manual_seed(self.seed)
        size = math.ceil(samples_per_batch(self.batch_size, len(self.indices["train"])) / self.share.count)
        batches: dict[str, Any] = {"batch_size": size, "sampler": sampler}
        if sampler is None and self.share.count > 1:
            own = self.share.of_sequence(torch.arange(len(indices)), size)
            batches = {"batch_sampler": [positions.tolist() for positions in own]}
        is_seeded = part == "train" and self.num_workers > 0
        return DataLoader(
            SeededSamples(dataset, indices, self.seed) if is_seeded else Subset(dataset, indices),
            **batches,
            generator=generator,
            collate_fn=self._collate(part, dataset, indices),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory and torch.cuda.is_available(),  # torch warns where there is nothing to copy to
        )

    def _collate(self, part: str, dataset: Dataset, indices: list[int]) -> CheckedCollate | None:
        """None is torch's own: of training batches only labels are checked, and only if they could not be before."""
        checks_values = self.checks_values and part != "train"
        unknown = self.labels if self._known_labels is None else None
        if unknown is None and not checks_values:
            return None
        return CheckedCollate(dataset, indices, part, unknown, finite=checks_values)

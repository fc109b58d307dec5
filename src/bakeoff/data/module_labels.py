"""Labels that a user's LightningDataModule holds in memory, checked in every part before anything is trained."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import IterableDataset, Subset, TensorDataset, default_collate

from bakeoff.data.held_labels import held_labels
from bakeoff.data.loaders import changes_batches, len_or_none, one_loader
from bakeoff.data.sample_checks import NAMES, Labels
from bakeoff.errors import UserError


def check_module_labels(source: L.LightningDataModule, labels: Labels) -> None:
    """Raises UserError at the first label that is no class, in what the loaders' data sets hold as labels.

    Others are seen as their batches are made, also where a `collate_fn` or a hook of the module may change labels.
    """
    if changes_batches(source):
        return
    for part, name in NAMES.items():
        with isolate_rng(include_cuda=False):
            loader = one_loader(source, f"{part}_dataloader")
        if getattr(loader, "collate_fn", None) is not default_collate:
            continue
        known = _known_labels(getattr(loader, "dataset", None))
        if known is not None and (label := labels.wrong(known)) is not None:
            index = int((known == label).nonzero()[0, 0])
            raise UserError(f"data: sample {index} of the {name} part {labels.describe(label)}")


def _known_labels(dataset: Any) -> Tensor | None:
    """One or several labels for each sample, in the data set's own order; None where it does not hold them."""
    if isinstance(dataset, Subset):
        labels = _known_labels(dataset.dataset)
        return None if labels is None else labels[torch.as_tensor(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        return dataset.tensors[1] if len(dataset.tensors) == 2 and not dataset.tensors[1].is_floating_point() else None
    size = None if isinstance(dataset, IterableDataset) else len_or_none(dataset)
    return None if size is None else held_labels(dataset, range(size))

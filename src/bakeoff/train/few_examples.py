"""The first batch of each part of a data module, cut to a few examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.data import extract_batch_size
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from bakeoff.data.loaders import len_or_none


class FewExamples(pl.LightningDataModule):
    """A data module that serves one batch of another one; it has its attributes and its hooks.

    Args:
        data: the other one, on which `prepare_data` and `setup` have been called.
        examples: how many of a batch are served; None for all of it.

    """

    def __init__(self, data: pl.LightningDataModule, examples: int | None) -> None:
        super().__init__()
        self._data, self._examples = data, examples
        self.on_before_batch_transfer = data.on_before_batch_transfer  # type: ignore[method-assign]
        if not getattr(data, "batches_on_device", False):  # else they may be on none yet
            self.transfer_batch_to_device = data.transfer_batch_to_device  # type: ignore[method-assign]
        self.on_after_batch_transfer = data.on_after_batch_transfer  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        """The other one's, of which a module may read more than the batches."""
        if name == "_data":  # not there yet
            raise AttributeError(name)
        return getattr(self._data, name)

    def train_dataloader(self) -> Any:
        """One batch."""
        return self._batches(self._data.train_dataloader(), is_cut=True)

    def val_dataloader(self) -> Any:
        """One batch."""
        return self._batches(self._data.val_dataloader())

    def test_dataloader(self) -> Any:
        """One batch."""
        return self._batches(self._data.test_dataloader())

    def _batches(self, loader: Any, *, is_cut: bool = False) -> _OneBatch:
        if isinstance(loader, (list, tuple)) and len(loader) == 1:
            loader = loader[0]
        size = len_or_none(loader) if is_cut else 1
        return _OneBatch(loader, _first(loader, self._examples), size or 1)


class _OneBatch:
    """A loader that has as many batches as another one, and gives a copy of one, which may be changed in place.

    It has the other one's attributes, such as the data set.
    """

    def __init__(self, loader: Any, batch: Any, size: int) -> None:
        self._loader, self._batch, self._size = loader, batch, size

    def __getattr__(self, name: str) -> Any:
        """The other one's, but for what Lightning would do with its sampler."""
        if name.startswith("_") or name in ("sampler", "batch_sampler"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        yield apply_to_collection(self._batch, Tensor, torch.clone)


def _first(loader: Iterable[Any], examples: int | None) -> Any:
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset) and loader.batch_size:
        size = min(loader.batch_size, len(loader.dataset))  # type: ignore[arg-type]  # a map-style data set has one
        # not by the loader, which may start processes
        return loader.collate_fn([loader.dataset[i] for i in range(min(size, examples or size))])
    batch = next(iter(loader))
    size = extract_batch_size(batch)
    return batch if examples is None else apply_to_collection(batch, Tensor, lambda leaf: _cut(leaf, size, examples))


def _cut(leaf: Tensor, size: int, examples: int) -> Tensor:
    return leaf[:examples] if leaf.ndim and len(leaf) == size else leaf

"""A user's LightningDataModule: told the batch size, looked at once, and used as it is."""

import warnings
from typing import Any

import lightning as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import DataLoader, IterableDataset

from bakeoff.data.batch_size import BatchSize
from bakeoff.data.infer import facts_of, is_pair
from bakeoff.data.spec import DataSpec
from bakeoff.errors import UserError


def prepare(source: L.LightningDataModule, batch_size: BatchSize) -> DataSpec:
    """Sets the module's batch size and reads its DataSpec off its first training batch.

    The batch size goes to the attribute `batch_size`, or to the hyperparameter of that name; this is how
    Lightning's own tuner sets it. A module with neither keeps its batches, and a warning says so.
    `prepare_data` and `setup("fit")` are called here first and by the trainer again. The order of its batches
    is the module's own: only if it does not draw on global random numbers do arms of one seed see the same
    batches.
    """
    with isolate_rng(include_cuda=False):  # asking for CUDA's state would start CUDA in this process
        # before setup, which may be where the module makes its loaders; 1, as no other drops samples
        told = _set_batch_size(source, 1 if batch_size == "full" else batch_size)
        source.prepare_data()
        source.setup("fit")
        if batch_size == "full":
            _set_batch_size(source, _n_train(source))
            source.setup("fit")
        if not told:
            warnings.warn(
                f"{type(source).__name__} has no attribute batch_size: its own batches are used, "
                f"not those of batch_size={batch_size}",
                stacklevel=3,
            )
        loader: Any = source.train_dataloader()
        batch = next(iter(loader), None)
    n_train, steps = _extent(loader)
    facts = facts_of(source, batch) if is_pair(batch) else {}
    if not _gives(source, "val_dataloader"):
        raise UserError(f"{type(source).__name__} has no val_dataloader: validation data is what chooses")
    return DataSpec(n_train=n_train, steps_per_epoch=steps, has_test=_gives(source, "test_dataloader"), **facts)


def _gives(source: L.LightningDataModule, loader: str) -> bool:
    # `from_datasets` sets its loaders on the instance
    overridden = getattr(type(source), loader) is not getattr(L.LightningDataModule, loader)
    return overridden or loader in vars(source)


def _n_train(source: L.LightningDataModule) -> int:
    n, _ = _extent(source.train_dataloader())
    if n is None:
        raise UserError(
            f'batch_size="full" needs a training set of known length, which {type(source).__name__} '
            "does not tell: give batch_size as a number"
        )
    return n


def _set_batch_size(source: Any, size: int) -> bool:
    found = "batch_size" in source.hparams
    if found:
        source.hparams["batch_size"] = size
    if hasattr(source, "batch_size"):
        source.batch_size = size
        found = True
    return found


def _extent(loader: Any) -> tuple[int | None, int | None]:
    """Samples and batches of an epoch."""
    steps = _length(loader)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or not loader.batch_size:
        return None, steps
    n = _length(loader.sampler)
    if n is not None and loader.drop_last:
        n -= n % loader.batch_size
    return n, steps


def _length(sized: Any) -> int | None:
    try:
        return len(sized)
    except (TypeError, NotImplementedError):
        return None

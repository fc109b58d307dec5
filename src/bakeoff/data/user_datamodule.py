"""A user's LightningDataModule: its batch size is set, its DataSpec is read off one batch, and it is used unchanged."""

import warnings
from typing import Any

import lightning as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import DataLoader, IterableDataset

from bakeoff.data.batch_size import BatchSize
from bakeoff.data.infer import infer_fields, is_pair
from bakeoff.data.spec import DataSpec
from bakeoff.errors import UserError


def configure_datamodule(source: L.LightningDataModule, batch_size: BatchSize) -> DataSpec:
    """Sets the module's batch size and reads its DataSpec off its first training batch.

    The batch size goes to the attribute `batch_size`, or to the hyperparameter of that name, as Lightning's
    own tuner does it. A module with neither keeps its batches, with a warning. `prepare_data` and
    `setup("fit")` are called here, and later by the trainer again. The module fixes the order of its batches:
    arms of one seed see the same batches only if it uses no global random numbers.

    Raises UserError if it has no validation data, or if `batch_size` is "full" and its length is unknown.
    """
    with isolate_rng(include_cuda=False):  # reading CUDA's state would start CUDA in this process
        # before setup, where the module may make its loaders; 1 for "full", since it drops no samples
        has_batch_size = _set_batch_size(source, 1 if batch_size == "full" else batch_size)
        source.prepare_data()
        source.setup("fit")
        if batch_size == "full":
            _set_batch_size(source, _n_train(source))
            source.setup("fit")
        if not has_batch_size:
            warnings.warn(
                f"{type(source).__name__} has no attribute batch_size: its own batches are used, "
                f"not those of batch_size={batch_size}",
                stacklevel=3,
            )
        loader: Any = source.train_dataloader()
        batch = next(iter(loader), None)
    n_train, steps = _epoch_size(loader)
    fields = infer_fields(source, batch) if is_pair(batch) else {}
    if not _has_loader(source, "val_dataloader"):
        raise UserError(f"{type(source).__name__} has no val_dataloader: validation data is required")
    return DataSpec(n_train=n_train, steps_per_epoch=steps, has_test=_has_loader(source, "test_dataloader"), **fields)


def _has_loader(source: L.LightningDataModule, loader: str) -> bool:
    # `from_datasets` sets its loaders on the instance
    overridden = getattr(type(source), loader) is not getattr(L.LightningDataModule, loader)
    return overridden or loader in vars(source)


def _n_train(source: L.LightningDataModule) -> int:
    n, _ = _epoch_size(source.train_dataloader())
    if n is None:
        raise UserError(
            f'batch_size="full" needs a training set of known length, which {type(source).__name__} '
            "does not have: give batch_size as a number"
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


def _epoch_size(loader: Any) -> tuple[int | None, int | None]:
    """The numbers of samples and of batches in an epoch; None where unknown."""
    steps = _len_or_none(loader)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or not loader.batch_size:
        return None, steps
    n = _len_or_none(loader.sampler)
    if n is not None and loader.drop_last:
        n -= n % loader.batch_size
    return n, steps


def _len_or_none(sized: Any) -> int | None:
    try:
        return len(sized)
    except (TypeError, NotImplementedError):
        return None

"""A user's LightningDataModule: its batch size is set, its DataSpec read off its batches, and it is used unchanged."""

import warnings
from collections.abc import Iterator
from typing import Any

import lightning as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import DataLoader

from bakeoff.data.batch_size import BatchSize
from bakeoff.data.infer import infer_fields
from bakeoff.data.loaders import batches_of, call, epoch_size, is_defined, one_loader, samples_in
from bakeoff.data.spec import DataSpec
from bakeoff.errors import UserError
from bakeoff.pairs import as_pair


def configure_datamodule(
    source: L.LightningDataModule, batch_size: BatchSize, *, any_batches: bool = False
) -> DataSpec:
    """Sets the module's batch size and reads its DataSpec off its first training batch.

    The batch size goes to the attribute `batch_size`, or to the hyperparameter of that name, as Lightning's
    own tuner does it. `prepare_data`, `setup("fit")` and, where there is a test loader, `setup("test")` are called
    here, and later by the trainer again. The module fixes the order of its batches: arms of one seed see the same
    batches only if it uses no global random numbers. With `any_batches` they need be no pairs `(x, y)`: then the spec
    tells nothing of them.

    Raises UserError if a loader cannot be used, if there is no validation data, if its batches have another size
    than `batch_size`, or if that is "full" and the module's length is unknown. Without test data it warns.
    """
    with isolate_rng(include_cuda=False):  # reading CUDA's state would start CUDA in this process
        # before setup, where the module may make its loaders; 1 for "full", since it drops no samples
        can_be_set = _set_batch_size(source, 1 if batch_size == "full" else batch_size)
        call(source, source.prepare_data)
        call(source, lambda: source.setup("fit"))
        if batch_size == "full":
            batch_size = _n_train(source)
            _set_batch_size(source, batch_size)
            call(source, lambda: source.setup("fit"))
        loader = _required(source, "train_dataloader", "training")
        n_train, steps = epoch_size(loader)
        batches = batches_of(source, "train_dataloader", loader, any_batches=any_batches)
        batch = _first(source, "train_dataloader", batches)
        _check_batch_size(source, loader, samples_in(batch), batch_size, can_be_set)
        pair, more = as_pair(batch), (found[1] for found in map(as_pair, batches) if found is not None)
        fields = {} if pair is None else infer_fields(source, pair, more)
        val = _required(source, "val_dataloader", "validation")
        _first(source, "val_dataloader", batches_of(source, "val_dataloader", val, any_batches=any_batches))
        has_test = _has_test(source, any_batches=any_batches)
        return DataSpec(n_train=n_train, steps_per_epoch=steps, has_test=has_test, **fields)


def _required(source: L.LightningDataModule, hook: str, data: str) -> Any:
    loader = one_loader(source, hook)
    if loader is None:
        raise UserError(f"{type(source).__name__} has no {hook}, or it gives none: {data} data is required")
    return loader


def _first(source: L.LightningDataModule, hook: str, batches: Iterator[Any]) -> Any:
    batch = next(batches, None)
    if batch is None or not samples_in(batch):
        name = f"{type(source).__name__}.{hook}"
        raise UserError(f"{name} gives no batch: its data is empty, or smaller than a batch with drop_last")
    return batch


def _has_test(source: L.LightningDataModule, *, any_batches: bool) -> bool:
    if not is_defined(source, "test_dataloader"):
        return False
    call(source, lambda: source.setup("test"))
    loader = one_loader(source, "test_dataloader")
    batches = iter(()) if loader is None else batches_of(source, "test_dataloader", loader, any_batches=any_batches)
    if next(batches, None) is not None:
        return True
    warnings.warn(f"{type(source).__name__}.test_dataloader gives no batch: there are no test metrics", stacklevel=5)
    return False


def _n_train(source: L.LightningDataModule) -> int:
    n, _ = epoch_size(_required(source, "train_dataloader", "training"))
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


def _check_batch_size(source: object, loader: Any, first: int, asked: int, can_be_set: bool) -> None:
    """Batches of another size than the run is called by would be counted, and compared, wrongly."""
    size = (loader.batch_size if isinstance(loader, DataLoader) else None) or first
    if size == asked or (size < asked and epoch_size(loader)[1] == 1):
        return
    remedy = "use it in train_dataloader" if can_be_set else "give it an attribute batch_size"
    raise UserError(
        f"{type(source).__name__} gives batches of {size}, not of batch_size={asked}: {remedy}, or say "
        f"batch_size={size}"
    )

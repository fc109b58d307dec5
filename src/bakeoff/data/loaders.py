"""The loaders of a user's LightningDataModule: one of each kind, that gives pairs, anew in every pass."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import lightning as L
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from lightning.pytorch.utilities.data import extract_batch_size
from torch.utils.data import DataLoader, IterableDataset

from bakeoff.data.infer import describe
from bakeoff.errors import UserError
from bakeoff.pairs import EXPECTED, as_pair


def one_loader(source: L.LightningDataModule, hook: str) -> Any:
    """The loader that `hook` gives, such as `val_dataloader`; None where it is not defined or gives none.

    Raises UserError where it gives several, or one that is spent after one pass.
    """
    if not is_defined(source, hook):
        return None
    loader, where = call(source, getattr(source, hook)), f"{type(source).__name__}.{hook}"
    is_list = isinstance(loader, (list, tuple))
    if is_list and hook != "train_dataloader" and len(loader) < 2:  # Lightning trains on batches of a list in a list
        loader = loader[0] if loader else None
    elif is_list or isinstance(loader, (Mapping, CombinedLoader)):
        raise UserError(f"{where} gives several loaders (a {type(loader).__name__}): give one, of batches (x, y)")
    if loader is None:
        return None
    if not hasattr(loader, "__iter__"):
        raise UserError(f"{where} gives a {type(loader).__name__}: give a DataLoader, or another iterable of batches")
    if isinstance(loader, Iterator):
        raise UserError(f"{where} gives an iterator, which is spent after one pass: give a DataLoader")
    return loader


def samples_in(batch: Any) -> int:
    """How many samples a batch holds: the length of its first tensor, as Lightning counts; 0 where it has none."""
    try:
        return extract_batch_size(batch)
    except Exception:  # its own class says that it holds no tensor
        return 0


def batches_of(source: L.LightningDataModule, hook: str, loader: Any, *, any_batches: bool = False) -> Iterator[Any]:
    """The batches of a loader as a net gets them, in one pass. Raises UserError at the first that is no pair.

    With `any_batches` they may be anything.
    """
    batches = call(source, lambda: iter(loader))
    while True:
        batch = call(source, lambda: next(batches, None))
        if batch is None:
            return
        batch = _transferred(source, batch)
        if any_batches:
            yield batch
            continue
        pair = as_pair(batch)
        if pair is None:
            name = type(source).__name__
            raise UserError(f"batches of {name}.{hook} must be pairs of tensors {EXPECTED}, got {describe(batch)}")
        yield pair


def _transferred(source: L.LightningDataModule, batch: Any) -> Any:
    """The batch as the module's own hooks leave it, where they do without a trainer: there is none yet."""
    if not changes_batches(source):
        return batch
    with suppress(Exception):
        return source.on_after_batch_transfer(source.on_before_batch_transfer(batch, 0), 0)
    return batch


def changes_batches(source: L.LightningDataModule) -> bool:
    """Whether the module changes batches after its loaders have made them."""
    hooks = ("on_before_batch_transfer", "on_after_batch_transfer")
    return any(getattr(type(source), hook) is not getattr(L.LightningDataModule, hook) for hook in hooks)


def epoch_size(loader: Any) -> tuple[int | None, int | None]:
    """The numbers of samples and of batches in an epoch; None where unknown."""
    steps = len_or_none(loader)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or not loader.batch_size:
        return None, steps
    n = len_or_none(loader.sampler)
    if n is not None and loader.drop_last:
        n -= n % loader.batch_size
    return n, steps


def len_or_none(sized: Any) -> int | None:
    """Its length, where it has one."""
    try:
        return len(sized)
    except (TypeError, NotImplementedError):
        return None


def call(source: L.LightningDataModule, function: Callable[[], Any]) -> Any:
    """What a user's function returns. Raises UserError with what it raises, in one line."""
    try:
        return function()
    except UserError:
        raise
    except Exception as error:  # whatever a user's data module raises
        text = " ".join(str(error).split()) or "no message"
        raise UserError(f"data: {type(source).__name__} failed: {type(error).__name__}: {text}") from error


def is_defined(source: L.LightningDataModule, hook: str) -> bool:
    """Whether the module has a loader of this kind at all."""
    # `from_datasets` sets its loaders on the instance
    overridden = getattr(type(source), hook) is not getattr(L.LightningDataModule, hook)
    return overridden or hook in vars(source)

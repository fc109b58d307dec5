"""Any supported data source -> a LightningDataModule that serves it, and its DataSpec."""

import math
from collections.abc import Sized
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from bakeoff.data.arrays import Arrays
from bakeoff.data.assemble import assemble
from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_per_batch
from bakeoff.data.checks import as_numpy
from bakeoff.data.dataset_datamodule import DatasetDataModule
from bakeoff.data.in_memory import InMemoryDataModule
from bakeoff.data.infer import LOOKED_AT, describe, infer_fields, stated_classes
from bakeoff.data.order import check_seed
from bakeoff.data.spec import DataSpec, spec_of
from bakeoff.data.split import Sizes
from bakeoff.data.user_datamodule import configure_datamodule
from bakeoff.errors import UserError
from bakeoff.pairs import EXPECTED, Inputs, as_pair, map_inputs, tensors_of

DataSource = Arrays | Dataset | L.LightningDataModule


def as_datamodule(
    source: DataSource,
    *,
    batch_size: BatchSize,
    seed: int,
    val_size: float = 0.2,
    test_size: float = 0.2,
    split_seed: int = 0,
    drop_last: bool = False,
    num_workers: int = 0,
    pin_memory: bool = False,
    ignore_index: int | None = None,
    any_batches: bool = False,
) -> tuple[L.LightningDataModule, DataSpec]:
    """A data module over `source`, and its DataSpec. Raises UserError for a source that cannot be served.

    - Arrays: served from the memory of the training device.
    The attribute `task` of a source, `classification` or `regression`, says what its targets are; without it their
    dtype does.

    - a TensorDataset of `(x, y)`: split, then the same. Its values are not standardised, since they may be
      prepared already or be indices for an embedding; floats become float32 and labels are mapped to 0..C-1, unless
      its attribute `num_classes` says C. Of labels of tokens or pixels those that are `ignore_index` are no classes.
    - any other map-style Dataset of `(x, y)`: split, and served by DataLoaders.
    - a LightningDataModule: used unchanged, but for its attribute `batch_size` (Lightning's convention).

    `seed` fixes the order of the training data, `split_seed` which sample is in which part. Sizes are fractions
    of a Dataset, or numbers of samples. With `drop_last`, or that of the Arrays, an epoch leaves out the samples of an
    incomplete last batch. `num_workers` processes read the samples of a Dataset, into pinned memory with `pin_memory`;
    other sources need neither, and refuse them. With `any_batches`, samples of a Dataset, and batches of a
    LightningDataModule, may be of any kind: the spec then tells nothing of them. Global random numbers are left
    unchanged.
    """
    check_batch_size(batch_size)
    check_seed(seed)
    sizes: Sizes = {"test": test_size, "val": val_size}
    if type(source) is TensorDataset and len(source.tensors) == 2:  # a subclass may augment
        source = _from_tensors(source, sizes, split_seed, ignore_index)
    if isinstance(source, Arrays):
        _refuse_loading(
            num_workers, pin_memory, "the data is held in memory, and is not loaded by a DataLoader: remove it"
        )
        source = replace(source, drop_last=True) if drop_last and not source.drop_last else source
        return InMemoryDataModule(source, batch_size=batch_size, seed=seed), spec_of(source, batch_size)
    if isinstance(source, L.LightningDataModule):
        name = type(source).__name__
        _refuse_loading(num_workers, pin_memory, f"{name} makes its own batches: set it in train_dataloader")
        if drop_last:
            raise UserError(f"data.drop_last is not {name}'s, which makes its own batches: set it in train_dataloader")
        return source, configure_datamodule(source, batch_size, any_batches=any_batches)
    if not isinstance(source, Dataset) or isinstance(source, IterableDataset) or not isinstance(source, Sized):
        raise UserError(
            "data must be Arrays, a Dataset with a length or a LightningDataModule, got "
            f"{type(source).__name__}: wrap it in a LightningDataModule"
        )
    data = DatasetDataModule(
        source,
        batch_size=batch_size,
        seed=seed,
        sizes=sizes,
        split_seed=split_seed,
        drop_last=drop_last,
        num_workers=num_workers,
        pin_memory=pin_memory,
    )
    return data, _spec_of_dataset(data, any_batches=any_batches)


def _refuse_loading(num_workers: int, pin_memory: bool, why: str) -> None:
    for key, value in (("num_workers", num_workers), ("pin_memory", pin_memory)):
        if value:
            raise UserError(f"data.{key}={str(value).lower()}: {why}")


def _from_tensors(source: TensorDataset, sizes: Sizes, split_seed: int, ignore_index: int | None) -> Arrays:
    where, task = "the TensorDataset", getattr(source, "task", None)
    x, y = (as_numpy(tensor, name, where) for tensor, name in zip(source.tensors, "xy", strict=True))
    return assemble(
        {"train": (x, y)},
        where=where,
        sizes=sizes,
        split_seed=split_seed,
        task=task,
        num_classes=stated_classes(source),
        ignore_index=ignore_index,
        scale=False,
        is_users_own=True,
    )


def _spec_of_dataset(data: DatasetDataModule, *, any_batches: bool) -> DataSpec:
    total = len(data.indices["train"])
    n = total - data.n_dropped
    with isolate_rng(include_cuda=False):  # reading CUDA's state would start CUDA in this process
        fields = {} if any_batches and not _gives_pairs(data) else _fields(data, total)
    steps = math.ceil(n / samples_per_batch(data.batch_size, total))
    return DataSpec(n_train=n, steps_per_epoch=steps, **fields)


def _fields(data: DatasetDataModule, total: int) -> dict[str, Any]:
    return infer_fields(data.dataset, _examples(data, total), (_sample(data, i)[1] for i in _spread(total)))


def _gives_pairs(data: DatasetDataModule) -> bool:
    sample = data.dataset[int(data.indices["train"][0])]
    try:
        return as_pair(default_collate([sample])) is not None
    except TypeError:  # it is collated by the data set's own means
        return False


def _examples(data: DatasetDataModule, total: int) -> tuple[Inputs, Tensor]:
    """Two samples as a batch, as a loss that broadcasts is right with one; one, where samples differ in shape."""
    first = _sample(data, 0)
    second = _sample(data, 1) if total > 1 else first
    (x, y), (x2, y2) = first, second
    pairs = zip([*tensors_of(x), y], [*tensors_of(x2), y2], strict=False)
    if not all(one.shape == other.shape for one, other in pairs):
        return first
    return map_inputs(lambda one, other: torch.cat([one, other]), x, x2), torch.cat([y, y2])


def _sample(data: DatasetDataModule, i: int) -> tuple[Inputs, Tensor]:
    """The training sample at position `i`, as a batch of one."""
    name, sample = type(data.dataset).__name__, data.dataset[int(data.indices["train"][i])]
    try:
        batch = default_collate([sample])
    except TypeError as error:
        raise UserError(
            f"{name} must give (x, y) of tensors, arrays or numbers: add a transform "
            f"such as ToTensor ({' '.join(str(error).split())})"
        ) from error
    pair = as_pair(batch)
    if pair is None:
        raise UserError(f"{name} must give {EXPECTED}, got {describe(sample)}")
    return pair


def _spread(n: int) -> list[int]:
    """Positions spread evenly over `n` samples, which may be sorted by their targets; the first one is left out."""
    return [i * (n - 1) // LOOKED_AT for i in range(1, LOOKED_AT + 1)] if n > 1 else []

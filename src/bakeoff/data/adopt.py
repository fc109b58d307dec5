"""Whatever a user has as data -> a LightningDataModule that serves it, and what is known of it."""

import math
from collections.abc import Sized

import lightning as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from bakeoff.data.arrays import Arrays
from bakeoff.data.assemble import assemble
from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_per_batch
from bakeoff.data.checks import as_numpy
from bakeoff.data.foreign import prepare
from bakeoff.data.infer import facts_of, is_pair
from bakeoff.data.mapped import MappedData
from bakeoff.data.order import check_seed
from bakeoff.data.resident import ResidentData
from bakeoff.data.spec import DataSpec, spec_of
from bakeoff.data.split import Sizes
from bakeoff.errors import UserError

Source = Arrays | Dataset | L.LightningDataModule
Adopted = tuple[L.LightningDataModule, DataSpec]


def adopt(
    source: Source,
    *,
    batch_size: BatchSize,
    seed: int,
    val_size: float = 0.2,
    test_size: float = 0.2,
    split_seed: int = 0,
) -> Adopted:
    """A data module over `source`, and its DataSpec. Raises UserError for what cannot be served.

    - Arrays: served from the training device.
    - a TensorDataset of `(x, y)`: the same, split, and with its values as they are. Whoever built it has
      prepared them, perhaps as indices for an embedding; only floats become float32 and labels are mapped to
      0..C-1.
    - another map-style Dataset of `(x, y)`: split, and served by DataLoaders.
    - a LightningDataModule: used as it is; its attribute `batch_size` (Lightning's own convention) is set.

    `seed` fixes the order of the training data, `split_seed` who is in which part. Sizes are fractions of a
    Dataset, or numbers of samples. Looking at a first sample leaves the global random numbers as they were.
    """
    check_batch_size(batch_size)
    check_seed(seed)
    sizes: Sizes = {"test": test_size, "val": val_size}
    if type(source) is TensorDataset and len(source.tensors) == 2:  # a subclass may augment
        source = _from_tensors(source, sizes, split_seed)
    if isinstance(source, Arrays):
        return ResidentData(source, batch_size=batch_size, seed=seed), spec_of(source, batch_size)
    if isinstance(source, L.LightningDataModule):
        return source, prepare(source, batch_size)
    if not isinstance(source, Dataset) or isinstance(source, IterableDataset) or not isinstance(source, Sized):
        raise UserError(
            "data must be Arrays, a Dataset with a length or a LightningDataModule, got "
            f"{type(source).__name__}: wrap it in a LightningDataModule"
        )
    data = MappedData(source, batch_size=batch_size, seed=seed, sizes=sizes, split_seed=split_seed)
    return data, _spec_of_dataset(data)


def _from_tensors(source: TensorDataset, sizes: Sizes, split_seed: int) -> Arrays:
    x, y = (as_numpy(tensor, name, "the TensorDataset") for tensor, name in zip(source.tensors, "xy", strict=True))
    return assemble({"train": (x, y)}, where="the TensorDataset", sizes=sizes, split_seed=split_seed, scale=False)


def _spec_of_dataset(data: MappedData) -> DataSpec:
    n = len(data.indices["train"])
    with isolate_rng(include_cuda=False):  # asking for CUDA's state would start CUDA in this process
        sample = data.dataset[int(data.indices["train"][0])]
    try:
        batch = default_collate([sample])
    except TypeError as error:
        raise UserError(
            f"{type(data.dataset).__name__} must give (x, y) of tensors, arrays or numbers: add a transform "
            f"such as ToTensor ({' '.join(str(error).split())})"
        ) from error
    if not is_pair(batch):
        raise UserError(f"{type(data.dataset).__name__} must give (x, y), got {type(sample).__name__}")
    steps = math.ceil(n / samples_per_batch(data.batch_size, n))
    return DataSpec(n_train=n, steps_per_epoch=steps, **facts_of(data.dataset, batch))

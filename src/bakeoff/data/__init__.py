"""Data sets as tensors, fixed splits, and batches sliced on the training device."""

from bakeoff.data.arrays import Arrays
from bakeoff.data.as_datamodule import as_datamodule
from bakeoff.data.batches import SequentialBatches, ShuffledBatches
from bakeoff.data.bundled import diabetes, digits
from bakeoff.data.cifar import cifar10
from bakeoff.data.dataset_datamodule import DatasetDataModule
from bakeoff.data.images import fashion_mnist, mnist
from bakeoff.data.in_memory import InMemoryDataModule
from bakeoff.data.npz import array
from bakeoff.data.share import Share
from bakeoff.data.spec import DataSpec

__all__ = [
    "Arrays",
    "DataSpec",
    "DatasetDataModule",
    "InMemoryDataModule",
    "SequentialBatches",
    "Share",
    "ShuffledBatches",
    "array",
    "as_datamodule",
    "cifar10",
    "diabetes",
    "digits",
    "fashion_mnist",
    "mnist",
]

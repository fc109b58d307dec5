"""Data sets as tensors, fixed splits, and batches sliced where the training runs."""

from bakeoff.data.adopt import adopt
from bakeoff.data.arrays import Arrays
from bakeoff.data.bundled import diabetes, digits
from bakeoff.data.cifar import cifar10
from bakeoff.data.images import fashion_mnist, mnist
from bakeoff.data.own import array
from bakeoff.data.resident import Batches, ResidentData
from bakeoff.data.spec import DataSpec

__all__ = [
    "Arrays",
    "Batches",
    "DataSpec",
    "ResidentData",
    "adopt",
    "array",
    "cifar10",
    "diabetes",
    "digits",
    "fashion_mnist",
    "mnist",
]

"""What validation and test see of a data set that augments: its images as they are, not as chance changes them.

A data set of the user's is one object with one `transform`, and is split by us. So its validation and test parts are
read through a shallow copy, whose `transform` is `val_transform` where the data set has that attribute, and else its
own without the random ones of torchvision. What stays random all the same is refused: nothing can be known of it.
"""

import copy
from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torch.utils.data import ConcatDataset, Dataset, Subset, default_collate

from bakeoff.errors import UserError
from bakeoff.pairs import as_pair

# of torchvision.transforms and torchvision.transforms.v2; besides all whose name begins with Random
_AUGMENTATIONS = {"AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix", "ColorJitter", "ElasticTransform"}
_AUGMENTATIONS |= {"GaussianBlur", "GaussianNoise", "JPEG", "ScaleJitter"}
_NOT_TO_LEAVE_OUT = {"RandomChoice", "RandomOrder"}  # may hold what every image needs, such as Normalize
_DRAWS = 6  # of one sample: a flip of probability 1/2 shows in all but one of 32
REMEDY = "give the data set an attribute val_transform, or use a LightningDataModule"
REMEDY_OF_ITEMS = "move what is random to an attribute transform, and give val_transform, or use a LightningDataModule"


def evaluation_view(dataset: Dataset, indices: Iterable[int]) -> Dataset:
    """The data set as validation and test read it; itself if it has no transform, and gives the same each time.

    Args:
        dataset: the user's.
        indices: a few of the samples that are validated on, by which it is tried.

    Raises:
        UserError: it is random where that cannot be left out, or its images then differ in shape.

    """
    name, transforms = type(dataset).__name__, _has_transform(dataset)
    view: Dataset = _without_augmentation(dataset) if transforms else dataset
    with isolate_rng(include_cuda=False):
        for index in indices:
            trained_on = dataset[index]
            first, *others = [_draw(view, index, seed) for seed in range(_DRAWS)]
            is_random = not all(_same(first, other) for other in others)
            if is_random and transforms:
                raise UserError(f"data: the transform of {name} changes validation images at random; {REMEDY}")
            if is_random and _is_pair_of_numbers(first):  # else it is refused for that
                raise UserError(f"data: {name}[{index}], of validation, differs each time; {REMEDY_OF_ITEMS}")
            if _shape(first) != _shape(trained_on):
                raise UserError(
                    f"data: without its random transforms {name} gives {_shape(first)} in place of "
                    f"{_shape(trained_on)} in validation; {REMEDY}"
                )
    return view


def _has_transform(dataset: Any) -> bool:
    own = any(getattr(dataset, name, None) is not None for name in ("transform", "transforms", "val_transform"))
    return own or any(map(_has_transform, _inner(dataset)))


def _inner(dataset: Any) -> list[Any]:
    """The data sets that torch's own wrappers hold."""
    if isinstance(dataset, Subset):
        return [dataset.dataset]
    return list(dataset.datasets) if isinstance(dataset, ConcatDataset) else []


def _without_augmentation(dataset: Any) -> Any:
    view = copy.copy(dataset)
    if isinstance(dataset, Subset):
        view.dataset = _without_augmentation(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        view.datasets = [_without_augmentation(inner) for inner in dataset.datasets]
    given = getattr(dataset, "val_transform", None)
    for name in ("transform", "transforms"):
        transform = getattr(dataset, name, None)
        if transform is not None:
            setattr(view, name, _deterministic(transform, given))
    return view


def _deterministic(transform: Any, given: Any) -> Any:
    if type(transform).__name__ == "StandardTransform":  # torchvision's pair of the image's and the target's
        pair = copy.copy(transform)
        pair.transform = None if transform.transform is None else _deterministic(transform.transform, given)
        return pair
    if given is not None:
        return given
    left = _left(transform)
    return transform if left is transform else left or _unchanged


def _left(transform: Any) -> Any:
    """What is left of a transform without augmentation: itself where there is none; None where it is nothing else."""
    if _is_augmentation(transform):
        return None
    steps = list(transform) if isinstance(transform, nn.Sequential) else getattr(transform, "transforms", None)
    if not isinstance(steps, list) or type(transform).__name__ not in ("Compose", "Sequential"):
        return transform
    left = [(step, _left(step)) for step in steps]
    if all(step is kept for step, kept in left):
        return transform
    kept = [kept for _, kept in left if kept is not None]
    if isinstance(transform, nn.Sequential):
        return nn.Sequential(*kept)
    shortened = copy.copy(transform)
    shortened.transforms = kept
    return shortened


def _is_augmentation(transform: Any) -> bool:
    kind = type(transform)
    known = kind.__name__ in _AUGMENTATIONS or kind.__name__.startswith("Random")
    is_torchvisions = kind.__module__.startswith("torchvision.transforms")
    return is_torchvisions and known and kind.__name__ not in _NOT_TO_LEAVE_OUT


def _unchanged(image: Any) -> Any:
    return image


def _is_pair_of_numbers(sample: Any) -> bool:
    try:
        return as_pair(default_collate([sample])) is not None
    except TypeError:
        return False


def _draw(dataset: Any, index: int, seed: int) -> Any:
    L.seed_everything(seed, workers=False, verbose=False)
    return dataset[index]


def _shape(sample: Any) -> tuple[int, ...] | None:
    x = sample[0] if isinstance(sample, tuple | list) and sample else sample
    return tuple(x.shape) if hasattr(x, "shape") else None


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    try:
        return bool(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) or _both_nan(a, b))
    except (TypeError, ValueError, RuntimeError):  # no numbers: text, a picture that is still to be made a tensor
        return bool(a == b)


def _both_nan(a: Any, b: Any) -> bool:
    first, second = torch.as_tensor(a), torch.as_tensor(b)
    return first.shape == second.shape and torch.allclose(first.double(), second.double(), 0, 0, equal_nan=True)

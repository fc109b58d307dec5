"""Augmentation acts on training images alone: what a validation image is, does not depend on chance."""

import copy
import itertools
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision import transforms as v1
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from bakeoff.data import as_datamodule
from bakeoff.errors import UserError

from .datasets import Bare

SIZE = 12
PIXELS = np.random.default_rng(0).integers(0, 256, (30, SIZE, SIZE, 3), dtype=np.uint8)
NORMALIZE = {"mean": [0.5] * 3, "std": [0.25] * 3}
TO_TENSOR = [v1.ToTensor(), v1.Normalize(**NORMALIZE)]
V2_TO_TENSOR = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(**NORMALIZE)]
RANDOM = {
    "flip": [v1.RandomHorizontalFlip(), *TO_TENSOR],
    "colour": [v1.ColorJitter(0.5, 0.5, 0.5), *TO_TENSOR],
    "policy": [v1.AutoAugment(), *TO_TENSOR],
    "wide": [v1.TrivialAugmentWide(), *TO_TENSOR],
    "blur": [v1.GaussianBlur(3), *TO_TENSOR],
    "padded crop": [v1.RandomCrop(SIZE, padding=4), *TO_TENSOR],
    "erasing, after": [*TO_TENSOR, v1.RandomErasing(p=0.5)],
    "apply": [v1.RandomApply([v1.ColorJitter(0.5)], p=0.5), *TO_TENSOR],
    "nested": [v1.Compose([v1.RandomVerticalFlip(), v1.RandomRotation(30)]), *TO_TENSOR],
    "v2": [v2.RandomHorizontalFlip(), v2.RandAugment(), *V2_TO_TENSOR, v2.GaussianNoise()],
}


class Pictures(Dataset):
    """As torchvision's are: `transform` is applied to each image as it is read."""

    num_classes = 3

    def __init__(self, transform=None):
        self.transform, self.targets = transform, [i % 3 for i in range(len(PIXELS))]

    def __len__(self):
        return len(PIXELS)

    def __getitem__(self, i):
        image = Image.fromarray(PIXELS[i])
        return (image if self.transform is None else self.transform(image)), self.targets[i]


def parts(dataset, **options):
    data, _ = as_datamodule(dataset, batch_size=4, seed=0, **options)
    return data, {part: [x for x, _ in getattr(data, f"{part}_dataloader")()] for part in ("train", "val", "test")}


def plain(index):
    """What an image is without augmentation, in NumPy."""
    return (PIXELS[index].transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25


@pytest.mark.parametrize("steps", RANDOM.values(), ids=RANDOM)
def test_validation_and_test_see_the_images_as_they_are(steps):
    whole = (v2 if any(type(step).__module__.startswith("torchvision.transforms.v2") for step in steps) else v1).Compose
    transform = whole(steps)
    data, found = parts(Pictures(transform))
    for part in ("val", "test"):
        np.testing.assert_allclose(torch.cat(found[part]), plain(data.indices[part]), rtol=0, atol=1e-5)
    train = torch.cat([data.dataset[int(i)][0][None] for i in data.indices["train"]])
    assert np.abs(train.numpy() - plain(data.indices["train"])).max() > 0.1  # it still augments
    assert data.dataset.transform is transform
    assert transform.transforms == steps  # the user's own is left as it is


def test_a_single_transform_and_a_sequential_one():
    class Scaled(Pictures):
        def __getitem__(self, i):
            image = torch.from_numpy(PIXELS[i]).permute(2, 0, 1) / 255
            return self.transform(image), self.targets[i]

    for transform in (v1.RandomHorizontalFlip(), nn.Sequential(v1.RandomHorizontalFlip(), v1.RandomVerticalFlip())):
        data, found = parts(Scaled(transform))
        expected = PIXELS[data.indices["val"]].transpose(0, 3, 1, 2) / 255
        np.testing.assert_allclose(torch.cat(found["val"]), expected, atol=1e-6)


@pytest.mark.parametrize("attribute", ["transform", "transforms"])
def test_torchvisions_own_data_sets(tmp_path, attribute):
    """Some read `transform`, some `transforms`, the pair of it and of the target's."""
    for i, pixels in enumerate(PIXELS):
        folder = tmp_path / f"class{i % 3}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")

    class Pair(ImageFolder):
        def __getitem__(self, i):
            path, target = self.samples[i]
            return self.transforms(self.loader(path), target)

    kind = ImageFolder if attribute == "transform" else Pair
    data, found = parts(kind(tmp_path, v1.Compose([v1.RandomHorizontalFlip(), *TO_TENSOR])))
    names = [int(data.dataset.samples[i][0][-6:-4]) for i in data.indices["val"]]
    np.testing.assert_allclose(torch.cat(found["val"]), plain(names), atol=1e-5)


@pytest.mark.parametrize(
    "wrap", [lambda d: Subset(d, range(30)), lambda d: ConcatDataset([d])], ids=["Subset", "Concat"]
)
def test_inside_of_torchs_own_wrappers(wrap):
    inner = Pictures(v1.Compose([v1.RandomHorizontalFlip(), *TO_TENSOR]))
    wrapped = wrap(inner)
    wrapped.num_classes = 3
    data, found = parts(wrapped)
    np.testing.assert_allclose(torch.cat(found["val"]), plain(data.indices["val"]), atol=1e-5)
    assert data.dataset is wrapped


def test_val_transform_is_what_validation_sees():
    dataset = Pictures(lambda image: v1.ToTensor()(image) + torch.rand(()))
    vars(dataset)["val_transform"] = v1.Compose(TO_TENSOR)
    data, found = parts(dataset)
    np.testing.assert_allclose(torch.cat(found["val"]), plain(data.indices["val"]), atol=1e-5)


REFUSED = {
    "a function": (lambda image: v1.ToTensor()(image) + torch.rand(()), "changes validation images at random"),
    "Lambda": (v1.Compose([v1.ToTensor(), v1.Lambda(lambda x: x + np.random.rand())]), "changes validation"),  # noqa: NPY002
    "a choice": (v1.Compose([v1.RandomChoice([v1.ColorJitter(0.9), v1.ColorJitter(0.1)]), *TO_TENSOR]), "at random"),
    "a crop": (v1.Compose([v1.RandomResizedCrop(6), *TO_TENSOR]), r"gives \(3, 12, 12\) in place of \(3, 6, 6\)"),
}


@pytest.mark.parametrize(("transform", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_known_is_refused(transform, message):
    with pytest.raises(UserError, match=message) as refused:
        parts(Pictures(transform))
    assert "give the data set an attribute val_transform, or use a LightningDataModule" in str(refused.value)
    assert "\n" not in str(refused.value)


class Noisy(Bare):
    """Draws in `__getitem__` itself, or counts how often it is read."""

    num_classes = 3


CHANGING: dict[str, Any] = {
    "torch": lambda: torch.randn(2),
    "NumPy": lambda: torch.tensor(np.random.randn(2)),  # noqa: NPY002
    "random": lambda: torch.full((2,), random.random()),
    "a count": lambda count=itertools.count(): torch.full((2,), float(next(count))),  # noqa: B008
}


@pytest.mark.parametrize("noise", CHANGING.values(), ids=CHANGING)
def test_a_data_set_that_differs_each_time_is_refused(noise):
    with pytest.raises(
        UserError, match=r"data: Noisy\[\d+\], of validation, differs each time; move what is random to"
    ):
        parts(Noisy(lambda i: (noise(), i % 3)))


def test_a_transform_without_chance_is_used_as_it_is():
    dataset = Pictures(v1.Compose(TO_TENSOR))
    data, found = parts(dataset)
    assert data.evaluated.transform is dataset.transform
    np.testing.assert_allclose(torch.cat(found["train"]).sum(), plain(data.indices["train"]).sum(), rtol=1e-4)


def test_looking_draws_no_random_numbers_and_training_repeats():
    def train_images():
        torch.manual_seed(7)
        data, _ = as_datamodule(copy.deepcopy(dataset), batch_size=4, seed=0)
        return torch.cat([x for x, _ in data.train_dataloader()])

    dataset = Pictures(v1.Compose([v1.RandomHorizontalFlip(), *TO_TENSOR]))
    state = torch.get_rng_state()
    as_datamodule(dataset, batch_size=4, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(train_images(), train_images())

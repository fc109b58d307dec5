"""Small reference networks: from inputs (N, *in_shape) to logits, or regression predictions, (N, n_out).

Arguments that are filled in from the data have fixed names: `in_shape` is the shape of one input, such as (1, 8, 8)
or (10,), `n_in` the product of its sizes, `n_out` the number of classes or of regression outputs.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torchvision
from torch import nn


class Linear(nn.Sequential):
    """One affine map of the flattened input: multinomial logistic regression, or linear regression."""

    def __init__(self, *, n_in: int, n_out: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(n_in, n_out))


class MLP(nn.Sequential):
    """Dense layers of the given widths with ReLU between, on the flattened input. Initialised as torch does.

    Raises ValueError if a width is below 1.
    """

    def __init__(self, *, n_in: int, n_out: int, widths: Iterable[int] = (64, 32)) -> None:
        sizes = [n_in, *widths]
        if not all(width >= 1 for width in sizes[1:]):
            raise ValueError(f"widths must all be >= 1, got {sizes[1:]}")
        layers: list[nn.Module] = [nn.Flatten()]
        for size_in, size_out in pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], n_out))


class CNN(nn.Sequential):
    """The 2c2d network of DeepOBS: two convolutions, each with max-pooling, and two dense layers.

    It is initialised as in DeepOBS, to be the same test problem: weights from a normal distribution of standard
    deviation 0.05, truncated at two standard deviations, and biases 0.05. Pooling rounds odd sizes up, as
    TensorFlow's padding "same" does.

    Raises ValueError if in_shape is not (channels, height, width).

    Schneider, Balles & Hennig 2019, "DeepOBS: a deep learning optimizer benchmark suite".
    """

    def __init__(self, *, in_shape: Sequence[int], n_out: int) -> None:
        channels, height, width = _image_shape(in_shape, "CNN")
        # each of the two poolings halves the size and rounds it up
        n_pooled = 64 * math.ceil(height / 4) * math.ceil(width / 4)
        super().__init__(
            nn.Conv2d(channels, 32, kernel_size=5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(32, 64, kernel_size=5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(n_pooled, 1024),
            nn.ReLU(),
            nn.Linear(1024, n_out),
        )
        _initialise_as_deepobs(self)


def resnet18(*, in_shape: Sequence[int], n_out: int) -> nn.Module:
    """ResNet-18 from torchvision with a stem for small images: a 3x3 convolution, stride 1, no max-pooling.

    Its four stages then work at 1, 1/2, 1/4 and 1/8 of the size of the image.

    Raises ValueError if in_shape is not (channels, height, width).

    He et al. 2016, "Deep residual learning for image recognition".
    The stem: Chen et al. 2020, "A simple framework for contrastive learning of visual representations",
    appendix B.9.
    """
    channels, _, _ = _image_shape(in_shape, "resnet18")
    net: nn.Module = torchvision.models.resnet18(num_classes=n_out)
    stem = nn.Conv2d(channels, 64, kernel_size=3, padding=1, bias=False)
    # as torchvision initialises every other convolution
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    net.conv1 = stem
    net.maxpool = nn.Identity()
    return net


def _image_shape(in_shape: Sequence[int], model: str) -> tuple[int, int, int]:
    if len(in_shape) != 3:
        raise ValueError(
            f"in_shape must be (channels, height, width) for {model}, got {tuple(in_shape)}: "
            "Linear and MLP take data of any shape"
        )
    channels, height, width = in_shape
    return channels, height, width


def _initialise_as_deepobs(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 0.05)
        else:
            nn.init.trunc_normal_(parameter, std=0.05, a=-0.1, b=0.1)

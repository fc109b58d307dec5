"""What a net, a budget and a run's identity must know of the data."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from bakeoff.data.arrays import Arrays, Task
from bakeoff.data.batch_size import BatchSize, samples_per_batch


@dataclass(frozen=True)
class DataSpec:
    """Facts about a data set as it is served; None is what cannot be known without reading it all.

    `n_out` counts classes, or the width of regression targets. `n_train` counts the samples of an epoch.
    Regression targets in the units they came in are `y * target_std + target_mean`. `digest` identifies the
    content. `example` holds a few inputs, with which a net can be tried before training.
    """

    task: Task | None = None
    in_shape: tuple[int, ...] | None = None
    n_out: int | None = None
    n_train: int | None = None
    steps_per_epoch: int | None = None
    target_mean: float = 0.0
    target_std: float = 1.0
    digest: str | None = None
    example: Tensor | None = field(default=None, compare=False, repr=False)
    has_test: bool = True

    @property
    def n_in(self) -> int | None:
        """Numbers in one input."""
        return None if self.in_shape is None else math.prod(self.in_shape)


def spec_of(arrays: Arrays, batch_size: BatchSize) -> DataSpec:
    """Everything is known of arrays."""
    n = len(arrays.train[0])
    return DataSpec(
        task=arrays.task,
        in_shape=arrays.in_shape,
        n_out=arrays.n_out,
        n_train=n,
        steps_per_epoch=math.ceil(n / samples_per_batch(batch_size, n)),
        target_mean=arrays.target_mean,
        target_std=arrays.target_std,
        digest=arrays.digest(),
        example=arrays.train[0][:2],
    )

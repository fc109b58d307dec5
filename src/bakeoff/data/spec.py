"""Facts about the data that a net, a budget and a run's identity need."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from bakeoff.data.arrays import Arrays, Scale, Task
from bakeoff.data.batch_size import BatchSize, samples_dropped, samples_per_batch
from bakeoff.pairs import Inputs


@dataclass(frozen=True)
class DataSpec:
    """Facts about a data set as it is served; None where one would have to read all of it.

    `n_out` is the number of classes, or the width of regression targets. `n_train` is the number of samples in
    an epoch. Regression targets in their original units are `y * target_std + target_mean`, where several columns have
    one of each a column. `input_mean`, `input_std` and `classes` are those of `Arrays`. `digest` identifies the
    content. `example` holds a few inputs, to check a net's forward pass before training, and `example_target` what
    belongs to them.
    """

    task: Task | None = None
    in_shape: tuple[int, ...] | None = None
    n_out: int | None = None
    n_train: int | None = None
    steps_per_epoch: int | None = None
    target_mean: Scale = 0.0
    target_std: Scale = 1.0
    input_mean: Tensor | None = field(default=None, compare=False, repr=False)
    input_std: Tensor | None = field(default=None, compare=False, repr=False)
    classes: Tensor | None = field(default=None, compare=False, repr=False)
    digest: str | None = None
    example: Inputs | None = field(default=None, compare=False, repr=False)
    example_target: Tensor | None = field(default=None, compare=False, repr=False)
    has_test: bool = True

    @property
    def n_in(self) -> int | None:
        """Number of values in one input."""
        return None if self.in_shape is None else math.prod(self.in_shape)


def spec_of(arrays: Arrays, batch_size: BatchSize) -> DataSpec:
    """The DataSpec of arrays, with every field known."""
    total = len(arrays.train[0])
    n = total - samples_dropped(batch_size, total, arrays.drop_last)
    return DataSpec(
        task=arrays.task,
        in_shape=arrays.in_shape,
        n_out=arrays.n_out,
        n_train=n,
        steps_per_epoch=math.ceil(n / samples_per_batch(batch_size, total)),
        target_mean=arrays.target_mean,
        target_std=arrays.target_std,
        input_mean=arrays.input_mean,
        input_std=arrays.input_std,
        classes=arrays.classes,
        digest=arrays.digest(),
        example=arrays.train[0][:2],
        example_target=arrays.train[1][:2],
    )

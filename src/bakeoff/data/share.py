"""The part of each batch that one of several processes takes, where they train one run together."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Process `rank` of `count`. The parts of a batch differ by one sample at most, and are in its order."""

    rank: int = 0
    count: int = 1

    def of(self, values: Tensor) -> Tensor:
        """The part of a batch: a view of its rows."""
        return values if self.count == 1 else values.tensor_split(self.count)[self.rank]

    def of_sequence(self, values: Tensor, batch_size: int) -> list[Tensor]:
        """The batches of an evaluation in which all processes together see each sample once.

        Every process has as many of them as the others, since they wait for each other, and none is empty if there are
        `count` samples or more. They hold `batch_size` samples at most, or two where that is one.
        """
        if self.count == 1:
            return list(values.split(batch_size))
        n = len(values)
        batches = max(1, min(math.ceil(n / (batch_size * self.count)), n // self.count))
        return list(values.tensor_split(batches * self.count)[self.rank :: self.count])


WHOLE = Share()

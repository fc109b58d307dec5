"""The order of the data: a permutation that depends on a seed and an epoch, and on nothing else."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from bakeoff.data.share import WHOLE, Share
from bakeoff.errors import UserError


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """A permutation of `0..n-1`, int64, drawn on the CPU so that the order is the same on every device.

    torch's CPU generator uses the low 32 bits of its seed alone, so `seed` and `epoch` are hashed into 32
    bits; a sum or a shift would give epoch 1 of seed 0 the order of epoch 0 of seed 1.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    return torch.randperm(n, generator=torch.Generator().manual_seed(mixed))


def check_seed(seed: int) -> int:
    """`seed`, if it is a whole number >= 0; raises UserError otherwise."""
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed must be a whole number >= 0, got {seed!r}")
    return seed


class EpochSampler(Sampler[int]):
    """Shuffles a map-style data set for a DataLoader: the order depends on `(seed, epoch)` alone.

    Of the `n` samples an epoch leaves out the last `n_dropped`, which are others in each. Where several processes
    train one run, each takes its `share` of each batch of `batch_size`.
    `epoch` grows with every full pass; Lightning sets it before each of its epochs, in a resumed run too.
    """

    def __init__(
        self, n: int, seed: int, n_dropped: int = 0, *, share: Share = WHOLE, batch_size: int | None = None
    ) -> None:
        self.n, self.seed, self.epoch, self.n_dropped = n, check_seed(seed), 0, n_dropped
        self._share, self._batch_size = share, batch_size or n

    def __len__(self) -> int:
        return len(self._own(torch.arange(self.n)))

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        *head, last = self._own(epoch_order(self.n, self.seed, self.epoch)).tolist()
        yield from head
        self.epoch += 1  # before the last one: a reader that counts to len() does not exhaust the iterator
        yield last

    def _own(self, order: Tensor) -> Tensor:
        order = order[: self.n - self.n_dropped]
        if self._share.count == 1:
            return order
        return torch.cat([self._share.of(batch) for batch in order.split(self._batch_size)])

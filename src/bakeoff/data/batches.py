"""Batches sliced from two tensors on their own device: no worker processes, no collate, no transfers."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bakeoff.data.arrays import Part
from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_dropped, samples_per_batch
from bakeoff.data.order import check_seed, epoch_order
from bakeoff.data.share import WHOLE, Share
from bakeoff.errors import UserError

_CHUNK_BYTES = 4 * 2**20  # gathered at a time: hides the cost of a gather without a second copy of the data


class ShuffledBatches:
    """Batches of `x` and `y` in an order that depends on `(seed, epoch)` alone, for training.

    The last batch may be smaller; with `drop_last` it is left out then. A batch of all samples is `(x, y)` itself,
    not shuffled, and copied only with `copies`. Of each batch, of `batch_size` samples, a process takes its `share`.
    `epoch` grows with every full pass; Lightning sets it before each of its epochs, in a resumed run too.
    Raises UserError if `batch_size` or `seed` is out of range, or `x` or `y` was changed in place.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        batch_size: BatchSize,
        seed: int,
        drop_last: bool = False,
        copies: bool = False,
        share: Share = WHOLE,
    ) -> None:
        self.x, self.y, self._share = x, y, share
        self._originals, self._copies = Originals(x, y), copies
        self.n = len(x) - samples_dropped(batch_size, len(x), drop_last)  # samples of an epoch
        self.batch_size = samples_per_batch(check_batch_size(batch_size), len(x))
        self.seed, self.epoch = check_seed(seed), 0
        self._start = 0

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def start_at(self, batch: int) -> None:
        """Starts the next pass, and only that one, with this batch, counted from 0. Used to resume."""
        self._start = batch

    @property
    def sampler(self) -> "ShuffledBatches":
        """Itself: Lightning calls `loader.sampler.set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Part]:
        start, self._start = self._start, 0
        return self._iterate(start)

    def _iterate(self, start: int) -> Iterator[Part]:
        *chunks, last = self._chunks(start)
        for chunk in chunks:
            yield from self._gather(chunk)
        *batches, final = self._gather(last)
        yield from batches
        self.epoch += 1  # before the final batch: Lightning counts to len() and does not exhaust the iterator
        yield final

    def _chunks(self, start: int) -> Sequence[Tensor | None]:
        """Indices of the samples from batch `start` on, in chunks of whole batches; None means all, in order."""
        if self.batch_size == len(self.x):
            return (None,)
        order = epoch_order(len(self.x), self.seed, self.epoch)[start * self.batch_size : self.n].to(self.x.device)
        if self._share.count > 1:
            order = torch.cat([self._share.of(batch) for batch in order.split(self.batch_size)])
        rows = groups_within(_CHUNK_BYTES, self.x, self.y, group=self._own_size) * self._own_size
        return torch.split(order, rows)

    @property
    def _own_size(self) -> int:
        """Samples of this process in a batch."""
        return self.batch_size // self._share.count

    def _gather(self, chunk: Tensor | None) -> Iterator[Part]:
        if chunk is None:
            self._originals.check()
            x, y = self._share.of(self.x), self._share.of(self.y)
            return iter([_copy(x, y) if self._copies else (x, y)])
        # index_select is several times faster than x[chunk] here
        x, y = self.x.index_select(0, chunk), self.y.index_select(0, chunk)
        return zip(x.split(self._own_size), y.split(self._own_size), strict=True)


class SequentialBatches:
    """Batches of `x` and `y` in order, for evaluation: views, sliced once, or copies of them.

    Raises UserError if `x` or `y` was changed in place.
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, copies: bool = False, share: Share = WHOLE) -> None:
        parts = (share.of_sequence(values, batch_size) for values in (x, y))
        self._batches = list(zip(*parts, strict=True))
        self._originals, self._copies = Originals(x, y), copies

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Part]:
        self._originals.check()
        return (_copy(x, y) for x, y in self._batches) if self._copies else iter(self._batches)


class Originals:
    """Tensors that batches are views of: a net or a loss that changes a batch in place would change the data."""

    def __init__(self, *tensors: Tensor) -> None:
        self._tensors = [tensor for tensor in tensors if not tensor.is_inference()]  # those count no changes
        self._versions = [tensor._version for tensor in self._tensors]

    @property
    def are_changed(self) -> bool:
        """Whether one has been changed since."""
        return [tensor._version for tensor in self._tensors] != self._versions

    def check(self) -> None:
        """Raises UserError if one has been changed since."""
        if self.are_changed:
            raise UserError(
                "data: the net, the loss or a callback has changed its values in place: let it work on a copy, such as "
                "x = x * 2 in place of x *= 2"
            )


def is_changed(copy: Tensor) -> bool:
    """Whether a fresh copy was written to since, be it with the values that it had."""
    return not copy.is_inference() and copy._version > 0


def _copy(x: Tensor, y: Tensor) -> Part:
    return x.clone(), y.clone()


def groups_within(max_bytes: int, *tensors: Tensor, group: int = 1) -> int:
    """How many groups of `group` samples of all `tensors` fit into `max_bytes`, at least 1."""
    sample_bytes = sum(tensor[0].numel() * tensor.element_size() for tensor in tensors)
    return max(1, max_bytes // max(1, sample_bytes * group))

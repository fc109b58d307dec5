"""Batches sliced from tensors that live on the training device: no workers, no collate, no transfers."""

import math
from collections.abc import Iterator, Sequence

import lightning as L
import torch
from torch import Tensor

from bakeoff.data.arrays import Arrays, Part
from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_per_batch
from bakeoff.data.order import check_seed, epoch_order

_CHUNK_BYTES = 4 * 2**20  # gathered at a time: hides the cost of a gather, and memory does not double
_EVAL_SAMPLES = 4096
_EVAL_BYTES = 16 * 2**20  # of input in an evaluation batch; a net's activations take some multiple of it


class Batches:
    """Shuffled batches of `x` and `y`, in an order that depends on `(seed, epoch)` alone.

    The last batch may be smaller; a batch of everything is `(x, y)` itself, not shuffled and not copied.
    `epoch` grows with every full pass, and Lightning sets it before each of its epochs, on a resumed run too.
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: BatchSize, seed: int) -> None:
        self.x, self.y = x, y
        self.batch_size = samples_per_batch(check_batch_size(batch_size), len(x))
        self.seed, self.epoch = check_seed(seed), 0
        self._start = 0

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def start_at(self, batch: int) -> None:
        """The next pass, and that alone, begins with this batch, counted from 0: a training is resumed."""
        self._start = batch

    @property
    def sampler(self) -> "Batches":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Part]:
        start, self._start = self._start, 0
        return self._pass(start)

    def _pass(self, start: int) -> Iterator[Part]:
        *chunks, last = self._chunks(start)
        for chunk in chunks:
            yield from self._gather(chunk)
        *batches, final = self._gather(last)
        yield from batches
        self.epoch += 1  # not after the final one: Lightning counts to len() and never asks for the end
        yield final

    def _chunks(self, start: int) -> Sequence[Tensor | None]:
        if self.batch_size == len(self.x):
            return (None,)
        order = epoch_order(len(self.x), self.seed, self.epoch)[start * self.batch_size :].to(self.x.device)
        rows = _fit(_CHUNK_BYTES, self.x, self.y, unit=self.batch_size) * self.batch_size
        return torch.split(order, rows)

    def _gather(self, chunk: Tensor | None) -> Iterator[Part]:
        if chunk is None:
            return iter([(self.x, self.y)])
        # index_select is several times faster than x[chunk] here
        x, y = self.x.index_select(0, chunk), self.y.index_select(0, chunk)
        return zip(x.split(self.batch_size), y.split(self.batch_size), strict=True)


class InOrder:
    """Batches of `x` and `y` in order, for evaluation: views, cut once."""

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int) -> None:
        self._batches = list(zip(x.split(batch_size), y.split(batch_size), strict=True))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Part]:
        return iter(self._batches)


class ResidentData(L.LightningDataModule):
    """`Arrays` served to a Lightning trainer from its own device, moved there once.

    `eval_batch_size` defaults to 4096 samples, fewer where their inputs would take more than 16 MiB. Raises
    UserError if `batch_size`, `eval_batch_size` or `seed` is out of range.
    """

    resident = True  # batches are on the device already: `bakeoff.module.loop` then leaves out the transfer

    def __init__(
        self, arrays: Arrays, *, batch_size: BatchSize, seed: int, eval_batch_size: BatchSize | None = None
    ) -> None:
        super().__init__()
        self.arrays, self.seed = arrays, check_seed(seed)
        self.batch_size = check_batch_size(batch_size)
        if eval_batch_size is None:
            eval_batch_size = min(_EVAL_SAMPLES, _fit(_EVAL_BYTES, arrays.train[0]))
        self.eval_batch_size = check_batch_size(eval_batch_size, "eval_batch_size")
        self._parts, self._device = arrays.parts(), arrays.train[0].device

    def setup(self, stage: str | None = None) -> None:
        """Moves all parts to the trainer's device, once; to the CPU without a trainer."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device != self._device:
            self._parts = {name: (x.to(device), y.to(device)) for name, (x, y) in self.arrays.parts().items()}
            self._device = device

    def train_dataloader(self) -> Batches:
        """Shuffled batches, from epoch 0."""
        return Batches(*self._parts["train"], batch_size=self.batch_size, seed=self.seed)

    def val_dataloader(self) -> InOrder:
        """Validation batches in order."""
        return self._in_order("val")

    def test_dataloader(self) -> InOrder:
        """Test batches in order."""
        return self._in_order("test")

    def transfer_batch_to_device(self, batch: Part, device: torch.device, dataloader_idx: int) -> Part:
        """The batch as it is: it is on the device already."""
        return batch

    def _in_order(self, name: str) -> InOrder:
        x, y = self._parts[name]
        return InOrder(x, y, batch_size=samples_per_batch(self.eval_batch_size, len(x)))


def _fit(size: int, *tensors: Tensor, unit: int = 1) -> int:
    """How many times `unit` samples of all `tensors` fit into `size` bytes, at least 1."""
    sample = sum(tensor[0].numel() * tensor.element_size() for tensor in tensors)
    return max(1, size // max(1, sample * unit))

"""Arrays served to a Lightning trainer from its own device, moved there once."""

import lightning as L
import torch

from bakeoff.data.arrays import Arrays, Part
from bakeoff.data.batch_size import BatchSize, check_batch_size, samples_dropped, samples_per_batch
from bakeoff.data.batches import SequentialBatches, ShuffledBatches, groups_within
from bakeoff.data.order import check_seed
from bakeoff.data.sample_checks import NAMES, Labels
from bakeoff.data.share import WHOLE
from bakeoff.errors import UserError

_MAX_EVAL_SAMPLES = 4096
_MAX_EVAL_BYTES = 16 * 2**20  # of input in an evaluation batch; a net's activations take a multiple of it


class InMemoryDataModule(L.LightningDataModule):
    """`Arrays` in the memory of the training device.

    `eval_batch_size` defaults to 4096 samples, fewer where their inputs would take more than 16 MiB. Raises
    UserError if `batch_size`, `eval_batch_size` or `seed` is out of range.
    """

    batches_on_device = True  # read by the lean loop of `bakeoff.module`, which then transfers no batch

    def __init__(
        self, arrays: Arrays, *, batch_size: BatchSize, seed: int, eval_batch_size: BatchSize | None = None
    ) -> None:
        super().__init__()
        self.arrays, self.seed = arrays, check_seed(seed)
        self.batch_size = check_batch_size(batch_size)
        if eval_batch_size is None:
            eval_batch_size = min(_MAX_EVAL_SAMPLES, groups_within(_MAX_EVAL_BYTES, arrays.train[0]))
        self.eval_batch_size = check_batch_size(eval_batch_size, "eval_batch_size")
        self._parts, self._parts_device = arrays.parts(), arrays.train[0].device
        self.copies = False  # to be set where the net changes its input in place
        self.share = WHOLE  # to be set where several processes train one run

    @property
    def n_dropped(self) -> int:
        """How many training samples an epoch leaves out."""
        return samples_dropped(self.batch_size, len(self.arrays.train[0]), self.arrays.drop_last)

    def use_labels(self, labels: Labels) -> None:
        """Says which labels are classes, and which the loss ignores. Raises UserError if there are others."""
        if self.arrays.ignore_index is None:
            return  # those were checked when they were read
        for part, (_, y) in self.arrays.parts().items():
            label = labels.wrong(y)
            if label is not None:
                index = int((y == label).flatten(1).any(dim=1).nonzero()[0])
                raise UserError(
                    f"data: sample {index} of the {NAMES[part]} part {labels.describe(label)}; a loss with "
                    f"ignore_index={label}, such as torch.nn.CrossEntropyLoss, ignores it"
                )

    def setup(self, stage: str | None = None) -> None:
        """Moves all parts to the trainer's device, once; to the CPU without a trainer."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device != self._parts_device:
            self._parts = {name: (x.to(device), y.to(device)) for name, (x, y) in self.arrays.parts().items()}
            self._parts_device = device

    def train_dataloader(self) -> ShuffledBatches:
        """Shuffled batches, from epoch 0."""
        x, y = self._parts["train"]
        return ShuffledBatches(
            x,
            y,
            batch_size=self.batch_size,
            seed=self.seed,
            drop_last=self.arrays.drop_last,
            copies=self.copies,
            share=self.share,
        )

    def val_dataloader(self) -> SequentialBatches:
        """Validation batches in order."""
        return self._sequential("val")

    def test_dataloader(self) -> SequentialBatches:
        """Test batches in order."""
        return self._sequential("test")

    def transfer_batch_to_device(self, batch: Part, device: torch.device, dataloader_idx: int) -> Part:
        """The batch unchanged: it is on the device already."""
        return batch

    def _sequential(self, name: str) -> SequentialBatches:
        x, y = self._parts[name]
        size = samples_per_batch(self.eval_batch_size, len(x))
        return SequentialBatches(x, y, batch_size=size, copies=self.copies, share=self.share)

"""Whether it is the data that is not finite.

In training it is looked for once a loss is not finite, at no cost to a step; in validation and test each batch of a
user's own data module is checked, since accuracy counts a row of NaN as any class.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.seed import isolate_rng

from bakeoff.data import DatasetDataModule, InMemoryDataModule
from bakeoff.data.sample_checks import fault_of_batch, find_fault_in_batches
from bakeoff.errors import UserError


def find_data_fault(data: pl.LightningDataModule, batches: int) -> str | None:
    """What is wrong with the training data, and where: its first sample that is not finite.

    Args:
        data: what the run was trained on; arrays in memory were checked when they were read.
        batches: how many of a user's own data module are looked at.

    """
    if isinstance(data, InMemoryDataModule):
        return None
    with suppress(Exception), isolate_rng(include_cuda=False):  # then it stays a run that diverged
        if isinstance(data, DatasetDataModule):
            return data.find_fault()
        return find_fault_in_batches(islice(data.train_dataloader(), batches), "train")
    return None


class CheckedBatches(pl.Callback):
    """Refuses batches of a validation or a test that hold a value which is not finite."""

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        """Also those of the validation before training, where a trainer makes one."""
        _refuse(batch, batch_idx, "val")

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        """The same in a test."""
        _refuse(batch, batch_idx, "test")


def _refuse(batch: Any, number: int, part: str) -> None:
    fault = fault_of_batch(batch, number, part)
    if fault is not None:
        raise UserError(fault)

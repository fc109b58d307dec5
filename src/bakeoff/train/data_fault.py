"""Whether it is the data that made a loss non-finite: looked for once that has happened, at no cost to a step."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import lightning.pytorch as pl
from lightning.pytorch.utilities.seed import isolate_rng

from bakeoff.data import DatasetDataModule, InMemoryDataModule
from bakeoff.data.sample_checks import find_fault_in_batches


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

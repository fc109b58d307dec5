"""A module may skip the rest of an epoch; a run counts whole ones."""

from __future__ import annotations

import lightning.pytorch as pl

from bakeoff.errors import UserError
from bakeoff.module.logged_values import skipped_rest_of_epoch


def refuse_skipped_epoch(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """To be called at the end of an epoch of training.

    Raises:
        UserError: the module has skipped the rest of it.

    """
    if skipped_rest_of_epoch(trainer):
        raise UserError(
            f"module: on_train_batch_start of {type(module).__name__} returns -1, which skips the rest of an epoch, "
            "but budgets, samples and curves count whole ones: not supported; give loaders with the batches that are "
            "to be trained on, or stop the training by trainer.should_stop = True"
        )

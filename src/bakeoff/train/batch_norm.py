"""Refuses a net with BatchNorm whose last batch of an epoch is too small: it would fail after hundreds of steps."""

from __future__ import annotations

import copy
import math

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.pairs import call, map_inputs
from bakeoff.train.settings import Settings

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
TOO_FEW = "more than 1 value per channel"  # as torch says it


def check_batch_norm(net: nn.Module, spec: DataSpec, settings: Settings) -> None:
    """Tries a batch of one in training on a copy of the net, where the data has such a batch.

    Over images BatchNorm averages over pixels, too: only the net itself knows whether one example is enough.

    Raises:
        UserError: it is not.

    """
    batch_size = settings.global_batch_size
    size = _last_batch(spec, batch_size, settings.trainer.accumulate_grad_batches)
    if size != 1 or spec.example is None or not any(isinstance(module, BATCH_NORMS) for module in net.modules()):
        return
    try:
        with isolate_rng(include_cuda=False), torch.no_grad():
            call(
                copy.deepcopy(net), map_inputs(lambda tensor: tensor[:1], spec.example)
            )  # of a copy, since the running averages move
    except ValueError as error:
        if TOO_FEW not in str(error):
            raise UserError(f"model: {type(net).__name__} cannot train on one example: {error}") from error
        if batch_size == 1 or spec.n_train == 1:
            remedy = "give a larger batch_size"
        else:
            remedy = f"{spec.n_train} samples in batches of {batch_size} leave one; give data.drop_last=true"
        raise UserError(f"model: BatchNorm cannot train on a batch of one sample: {remedy}") from error
    except Exception:  # what cannot be copied, or needs a device: its training says more
        pass


def _last_batch(spec: DataSpec, batch_size: int | str, batches_per_step: int) -> int | None:
    """Samples in the last batch of an epoch; None where that is not known."""
    n, steps = spec.n_train, spec.steps_per_epoch
    if n is None or steps is None:
        return None
    size = n if batch_size == "full" else min(int(batch_size), n)
    batches = math.ceil(n / size)
    return n - (batches - 1) * size if math.ceil(batches / batches_per_step) == steps else None

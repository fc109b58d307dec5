"""Tries a net, a loss and metrics on a few examples of each part of the data, before anything is trained.

Copies of them make one forward and backward pass on training data, and a validation and a test step. No weight changes,
random numbers stay as they were, and what is printed is not shown.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from bakeoff.data import InMemoryDataModule
from bakeoff.data.batches import is_changed
from bakeoff.data.sample_checks import NAMES
from bakeoff.errors import UserError
from bakeoff.module import SupervisedModule
from bakeoff.module.evaluation import Evaluation
from bakeoff.module.loss_parameters import copied
from bakeoff.train.error import is_out_of_memory
from bakeoff.train.few_examples import FewExamples
from bakeoff.train.lightning_module import supervised_module
from bakeoff.train.parts import SupervisedParts

EXAMPLES = 4


def try_steps(parts: SupervisedParts) -> None:
    """Refuses what would fail in the first step, in a validation, or after hours in the test.

    Data in memory is served as copies from then on where a step changes its input in place.

    Where a few examples fail, a whole batch is tried, since a loss may count on their number. What cannot be copied is
    not tried.

    Raises:
        UserError: names the part of the data and what is raised.

    """
    silent = contextlib.redirect_stdout(io.StringIO())
    with isolate_rng(include_cuda=False), warnings.catch_warnings(), silent:
        warnings.simplefilter("ignore")  # of a metric that has seen a few examples alone
        try:
            copies = copied((parts.net, parts.loss, parts.metrics))
        except Exception:  # what a user's class holds may not be made to be copied
            return
        module = supervised_module(parts, *copies)
        _try("train", module, parts, lambda module, batch: _train(module, batch, parts.data))
        _try("val", module, parts, _validate)
        if parts.spec.has_test:
            _try("test", module, parts, _test)


def _try(part: str, module: SupervisedModule, parts: SupervisedParts, step: Callable[..., None]) -> None:
    for examples in (EXAMPLES, None):
        batch = example_batch(part, parts.data, examples)
        if batch is None:
            return
        try:
            step(module, batch)
            return
        except Exception as error:  # whatever a user's net, loss or metric raises
            if is_out_of_memory(error):  # the run says which batch size fits
                return
            failure = error
    if isinstance(failure, UserError):
        raise failure
    text = " ".join(str(failure).split()) or type(failure).__name__
    raise UserError(f"on a batch of {NAMES[part]} data: {text}") from failure


def example_batch(part: str, data: pl.LightningDataModule, examples: int | None) -> Any:
    """The first batch of a part of the data, or a few examples of it; None where it cannot be had by itself."""
    try:
        few = FewExamples(data, examples)
        loader = {"train": few.train_dataloader, "val": few.val_dataloader, "test": few.test_dataloader}[part]()
        batch = next(iter(loader))
        return data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)
    except UserError:  # of the data itself
        raise
    except Exception:  # a hook may need a trainer; the data itself was looked at before
        return None


def _train(module: SupervisedModule, batch: Any, data: pl.LightningDataModule) -> None:
    module.train()
    batch = apply_to_collection(batch, Tensor, torch.clone)
    with torch.enable_grad():
        module.training_step(batch, 0).backward()
    if isinstance(data, InMemoryDataModule) and any(is_changed(tensor) for tensor in batch):
        data.copies = True  # some nets do so in training alone


def _validate(module: SupervisedModule, batch: Any) -> None:
    _measure(module, batch, module.val_metrics)


def _test(module: SupervisedModule, batch: Any) -> None:
    _measure(module, batch, module.test_metrics)


def _measure(module: SupervisedModule, batch: Any, metrics: Evaluation) -> None:
    metrics.reset()
    module.eval()
    with torch.no_grad():
        module.measure(batch, metrics)
        metrics.compute()

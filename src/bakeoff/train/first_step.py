"""Tries the first step of a run on copies: whether it fits into memory, and which batch size does.

A step is forward, backward and the update of the optimizer, so that the optimizer's state is counted, on one batch of
the training data. Nothing of it is kept: weights, the state of the data and random numbers stay as they were.
"""

from __future__ import annotations

import contextlib
import gc
import io
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from bakeoff.data import InMemoryDataModule
from bakeoff.module.loss_parameters import copied
from bakeoff.runs import arm_of
from bakeoff.train.error import OUT_OF_MEMORY, Error, is_out_of_memory
from bakeoff.train.few_examples import FewExamples
from bakeoff.train.instantiate import one_line
from bakeoff.train.lightning_module import module_for
from bakeoff.train.parts import OwnModuleParts, Parts, SupervisedParts
from bakeoff.train.run import Run
from bakeoff.train.settings import FSDP
from bakeoff.train.try_module import quiet_trainer

GIB = 2**30


@dataclass(frozen=True)
class FirstStep:
    """What was found. `asked` and `fits` are samples in a batch.

    `fits` is the largest of `asked`, its half, a quarter, ... that fits; 0 where one sample does not. `peak` is the
    memory that the step took with `fits` samples, in bytes, data in the device's memory included; None on the CPU.
    """

    asked: int
    fits: int
    peak: int | None = None


def try_first_step(run: Run) -> FirstStep | str:
    """The largest batch size that fits, found by halving; or in words why that is not known."""
    if run.settings.trainer.strategy == FSDP:
        return "a step of one process has other weights in memory than one of several (trainer.strategy=fsdp)"
    size = samples_asked(run)
    if size is None:
        return "the data does not say how many samples a batch has"
    asked = size
    while size:
        try:
            return FirstStep(asked, size, _step(run, size))
        except Exception as error:  # whatever a net, a loss or an optimizer raises
            reason = None if is_out_of_memory(error) else one_line(error)
        if reason is not None:
            return f"a first step with {size} samples failed: {reason}"
        _release()
        size //= 2
    return FirstStep(asked, 0)


def with_batch_size_that_fits(error: Error, run: Run) -> Error:
    """The error of a run that is out of memory, its message with the largest batch size that fits.

    To be called when the error that was raised is no longer handled: its traceback holds the memory.
    """
    if error["type"] != OUT_OF_MEMORY:
        return error
    _release()
    return {**error, "message": f"{_advice(run, try_first_step(run))} ({error['message']})"}


def describe_first_step(run: Run) -> str:
    """`model=mlp batch_size=4096: out of memory, 2048 fits`."""
    found = try_first_step(run)
    _release()
    if isinstance(found, str):
        finding = f"not known: {found}"
    elif found.fits < found.asked:
        finding = f"out of memory, {found.fits or 'not even 1 sample'} fits"
    else:
        finding = "fits" if found.peak is None else f"fits, at most {found.peak / GIB:.2f} GiB"
    return f"{_label(run)}: {finding}"


def samples_asked(run: Run) -> int | None:
    """How many samples of the first batch a device has, where that is known."""
    size, n = run.settings.batch_size, run.parts.spec.n_train
    share = None if n is None else math.ceil(n / run.settings.trainer.devices)
    if size == "full":
        return share
    return int(size) if share is None else min(int(size), share)


def _advice(run: Run, found: FirstStep | str) -> str:
    asked = f"batch_size={run.settings.batch_size}"
    if isinstance(found, str):
        return f"out of memory with {asked}; which batch size fits is not known: {found}"
    if found.fits == found.asked:
        return f"out of memory with {asked}, although a first step alone fits"
    if not found.fits:
        return f"out of memory with {asked}; not even a batch of 1 sample fits"
    return f"out of memory with {asked}; batch_size={found.fits} fits, the largest found by halving {found.asked}"


def _label(run: Run) -> str:
    """The net and the batch size, with what the command line says of them."""
    own = isinstance(run.parts, OwnModuleParts)
    named = {key: run.hyperparameters.get(key) for key in (("module",) if own else ("model", "optimizer"))}
    given = {key: value for key, value in arm_of(run.overrides).items() if key.startswith(("model.", "module."))}
    own_values = {key: value for key, value in given.items() if not key.endswith("._target_")}
    chosen = {**named, **own_values, "batch_size": run.settings.batch_size}
    return " ".join(f"{key}={value}" for key, value in chosen.items())


def _step(run: Run, size: int) -> int | None:
    """Makes one step with `size` samples; returns its peak of memory in bytes, None on the CPU."""
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        parts = _copy_of(run.parts)
        trainer = quiet_trainer(run.settings.trainer, _OneStep(), folder, {"max_epochs": 1, "max_steps": -1})
        trainer.limit_val_batches = 0
        data, device = parts.data, trainer.strategy.root_device
        if isinstance(data, InMemoryDataModule):
            data.trainer = trainer
            data.setup("fit")  # moves all of it to the device, where it is in training
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        trainer.fit(module_for(parts, run.settings), datamodule=FewExamples(data, size))
        return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _copy_of(parts: Parts) -> Parts:
    if isinstance(parts, SupervisedParts):
        net, loss = copied((parts.net, parts.loss))  # together: they may share parameters
        twin: Parts = replace(parts, net=net, loss=loss)
    else:
        twin = replace(parts, net=copied(parts.net))  # it may hold a loss
    twin.net.zero_grad()
    if not twin.net.training:  # a validation that failed has left it so
        twin.net.train()
    return twin


class _OneStep(pl.Callback):
    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        trainer.should_stop = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with isolate_rng(), warnings.catch_warnings(), silent[0], silent[1]:
        warnings.simplefilter("ignore")
        yield


def _release() -> None:
    """Gives back what the last try has left."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()

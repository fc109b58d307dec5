"""Samples one step in N: gradient norm, update-to-weight ratio, and the time of the four phases of a step.

    forward   output = net(x)
    loss      loss = L(output, target)
    backward  dloss/dtheta
    update    theta <- theta - lr * ...

Where several batches make a step, forward, loss and backward are the sums over them.

On a GPU the phases are timed by events in the stream. A sample is read and logged when the next one is taken, so that
no step waits for the device.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from bakeoff.module.sharded import on_all
from bakeoff.module.trained import trained_parameters

BATCH = ("forward", "loss", "backward", None)  # what begins at each mark; None: what no phase counts
UPDATE = ("update", None)


class Stopwatch:
    """Marks points in time on a device, at each of which a phase begins, and returns the milliseconds between them."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[Any] = []
        self.phases: list[str | None] = []

    def mark(self, phase: str | None) -> None:
        """Marks now: an event in the stream on a GPU, the clock elsewhere."""
        self.phases.append(phase)
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        """The times between consecutive marks. On a GPU it waits until the last mark is reached."""
        if self._cuda:
            self._marks[-1].synchronize()
            return [a.elapsed_time(b) for a, b in zip(self._marks, self._marks[1:], strict=False)]
        return [(b - a) * 1e3 for a, b in zip(self._marks, self._marks[1:], strict=False)]


class StepSample(NamedTuple):
    """What was measured in one step; the tensors and the events are still on the device."""

    step: int
    grad_norm: Tensor
    update_ratio: Tensor
    watch: Stopwatch


class StepProbe(pl.Callback):
    """Logs `grad/norm`, `update/ratio` and `time/*` (milliseconds) at the first and then at every n-th step.

    The ratio is ||theta' - theta|| / ||theta||; about 1e-3 is often called healthy (Karpathy 2015, CS231n). The norm is
    taken before clipping. The module that is trained must have its network in the attribute `net`; the parameters
    of a loss in its attribute `loss` are taken in.

    Raises:
        ValueError: `every_n_steps` is below 1.

    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if not every_n_steps >= 1:
            raise ValueError(f"every_n_steps must be >= 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._watch: Stopwatch | None = None  # of the step under way, if that is a sample
        self._handles: list[Any] = []
        self._before: list[Tensor] = []
        self._grad_norm = torch.tensor(0.0)
        self._sample: StepSample | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Starts a sample if one is due; it has all batches of the step."""
        if trainer.global_step % self.every_n_steps:
            return
        if self._watch is None:
            self._log(trainer)
            self._watch = Stopwatch(pl_module.device)
        self._remove_hooks()
        net, mark = pl_module.net, self._watch.mark
        self._handles = [
            net.register_forward_pre_hook(lambda *_: mark("forward")),
            net.register_forward_hook(lambda *_: mark("loss")),
        ]

    def on_before_zero_grad(self, trainer: pl.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Marks the end of the loss: Lightning zeroes the gradients between the loss and the backward pass."""
        self._end_loss()

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Any, loss: Tensor) -> None:
        """The same of a step's further batches, before which no gradient is zeroed."""
        self._end_loss()

    def _end_loss(self) -> None:
        if self._watch and self._handles:
            self._remove_hooks()
            self._watch.mark("backward")

    def on_after_backward(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Marks the end of the backward pass."""
        if self._watch:
            self._watch.mark(None)

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Measures the gradients, then marks the start of the update. Mixed precision has unscaled them already."""
        if self._watch:
            grads = [p.grad for p in _parameters(pl_module) if p.grad is not None]
            self._grad_norm = _norm(grads)
            self._before = [p.detach().clone() for p in _parameters(pl_module)]
            self._watch.mark("update")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Marks the end of the update and keeps the sample, on the device, until the next one."""
        self._remove_hooks()
        if self._watch is None or not self._before:  # no optimizer step: there are more batches to come
            return
        watch, self._watch = self._watch, None
        watch.mark(None)
        change = [p.detach() - old for p, old in zip(_parameters(pl_module), self._before, strict=True)]
        ratio = _norm(change) / _norm(self._before).clamp_min(torch.finfo(torch.float32).tiny)
        self._before = []
        self._sample = StepSample(trainer.global_step, self._grad_norm, ratio, watch)

    def _remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Logs the last sample."""
        self._log(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Logs the last sample: a resumed training would not have it."""
        self._log(trainer)

    def _log(self, trainer: pl.Trainer) -> None:
        if self._sample is None:
            return
        (step, norm, ratio, watch), self._sample = self._sample, None
        values = {"grad/norm": float(norm), "update/ratio": float(ratio), **_phases(watch)}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)


def _parameters(module: Any) -> list[nn.Parameter]:
    return trained_parameters(module.net, getattr(module, "loss", None))


def _phases(watch: Stopwatch) -> dict[str, float]:
    begun = tuple(watch.phases)
    if begun != BATCH * (len(begun) // len(BATCH)) + UPDATE:  # the net was not called once a batch: not to be separated
        return {}
    sums: dict[str, float] = defaultdict(float)
    for phase, ms in zip(begun, watch.milliseconds(), strict=False):
        if phase is not None:
            sums[f"time/{phase}"] += ms
    return dict(sums)


def _norm(tensors: list[Tensor]) -> Tensor:
    return on_all(torch.nn.utils.get_total_norm(tensors)) if tensors else torch.tensor(0.0)

"""Stops a training whose loss or weights are no longer finite, or whose net gives NaN in a validation.

The losses of the last steps are kept on the device and checked together every few steps, so that a GPU does not wait
for each of them. The first bad step is still exact for a loss; for weights it is the step of the check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from bakeoff.module.sharded import local


@dataclass(frozen=True)
class Divergence:
    """What became non-finite, and at which optimizer step (counted from 1)."""

    what: str
    step: int

    def __str__(self) -> str:
        return f"{self.what} became non-finite at step {self.step}"


class StopOnDivergence(pl.Callback):
    """Stops training, without an exception, at the first check after a loss or a weight became non-finite.

    Where `training_step` returns no loss, the weights are checked after each validation.

    Args:
        every_n_steps: how often losses and weights are checked.
        outputs_are_predictions: whether NaN in what `validation_step` returns is a divergence.

    Raises:
        ValueError: `every_n_steps` is below 1.

    """

    def __init__(self, every_n_steps: int = 50, *, outputs_are_predictions: bool = True) -> None:
        if not every_n_steps >= 1:
            raise ValueError(f"every_n_steps must be >= 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self.divergence: Divergence | None = None
        self._losses: list[Tensor] = []
        self._steps: list[int] = []  # to which these losses belong
        self._step = 0
        self._judges_outputs = outputs_are_predictions
        self._gives_losses = False  # a module that makes its steps itself need not: its weights are looked at
        self._have_nan: list[Tensor] = []  # whether the outputs of a batch of the validation do

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reads where training starts."""
        self._step = trainer.global_step
        if not self._steps:  # version 0.2 kept losses alone, one for each step
            self._steps = list(range(self._step - len(self._losses) + 1, self._step + 1))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the loss; checks every `every_n_steps`."""
        if trainer.accumulate_grad_batches == 1:  # asking Lightning for its step would take microseconds
            step = self._step = self._step + 1
        else:
            step, self._step = self._step + 1, trainer.global_step
        if isinstance(outputs, dict) and "loss" in outputs:
            self._gives_losses = True
            self._losses.append(outputs["loss"])
            self._steps.append(step)
        if len(self._losses) >= self.every_n_steps:
            self._check(trainer, pl_module)
            # one of several processes may have found it alone: all go the same way from here, to a validation
            trainer.should_stop = trainer.strategy.reduce_boolean_decision(trainer.should_stop, all=False)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Looks for NaN: a row of it would count as any class."""
        if self._judges_outputs and isinstance(outputs, Tensor):
            self._have_nan.append(outputs.isnan().any())

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops the training if there was one."""
        has_nan = bool(torch.stack(self._have_nan).any()) if self._have_nan else False
        self._have_nan.clear()
        if has_nan or not self._gives_losses:
            self._check(trainer, pl_module)  # the step of the loss, if it began there
        if has_nan:
            self.divergence = self.divergence or Divergence("an output in validation", trainer.global_step)
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Checks the remaining losses."""
        self._check(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The losses that are not checked yet: a resumed training checks at the same steps."""
        return {"losses": [loss.cpu() for loss in self._losses], "steps": self._steps[:]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state."""
        self._losses, self._steps = list(state_dict["losses"]), list(state_dict.get("steps", ()))

    def _check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.divergence is None:
            self.divergence = self._find_bad_loss() or _find_bad_weight(module, trainer.global_step)
        self._losses.clear()
        self._steps.clear()
        if self.divergence is not None:
            trainer.should_stop = True

    def _find_bad_loss(self) -> Divergence | None:
        if not self._losses:
            return None
        device = self._losses[-1].device  # losses from before a resume may be on another device
        finite = torch.isfinite(torch.stack([loss.to(device) for loss in self._losses])).tolist()
        if all(finite):
            return None
        return Divergence("the loss", self._steps[finite.index(False)])


def _find_bad_weight(module: pl.LightningModule, step: int) -> Divergence | None:
    finite = [torch.isfinite(local(p.detach())).all() for p in module.parameters()]
    if not finite or bool(torch.stack(finite).all()):
        return None
    return Divergence("a weight", step)

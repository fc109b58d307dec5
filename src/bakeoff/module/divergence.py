"""Ends a training whose loss or weights are no longer finite.

The losses of the last steps are kept on the device and looked at together every few steps, so that a GPU is not made
to wait for each of them. The first bad step is still found exactly for a loss; for weights it is the step of the look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor


@dataclass(frozen=True)
class Divergence:
    """What became non-finite, and at which optimizer step (counted from 1)."""

    what: str
    step: int

    def __str__(self) -> str:
        return f"{self.what} became non-finite at step {self.step}"


class StopOnDivergence(pl.Callback):
    """Stops training, without an exception, at the first look after a loss or a weight became non-finite."""

    def __init__(self, every_n_steps: int = 50) -> None:
        if not every_n_steps >= 1:
            raise ValueError(f"every_n_steps must be >= 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self.divergence: Divergence | None = None
        self._losses: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the loss; looks every `every_n_steps`."""
        if isinstance(outputs, dict) and "loss" in outputs:
            self._losses.append(outputs["loss"])
        if len(self._losses) >= self.every_n_steps:
            self._look(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at what is left."""
        self._look(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The losses that were not looked at yet: a resumed training looks when it would have."""
        return {"losses": [loss.cpu() for loss in self._losses]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them up."""
        self._losses = list(state_dict["losses"])

    def _look(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.divergence is None:
            self.divergence = self._bad_loss(trainer.global_step) or _bad_weight(module, trainer.global_step)
        self._losses.clear()
        if self.divergence is not None:
            trainer.should_stop = True

    def _bad_loss(self, step: int) -> Divergence | None:
        if not self._losses:
            return None
        device = self._losses[-1].device  # those of before a training was resumed may lie elsewhere
        finite = torch.isfinite(torch.stack([loss.to(device) for loss in self._losses])).tolist()
        if all(finite):
            return None
        return Divergence("the loss", step - len(finite) + finite.index(False) + 1)


def _bad_weight(module: pl.LightningModule, step: int) -> Divergence | None:
    finite = [torch.isfinite(p.detach()).all() for p in module.parameters()]
    if not finite or bool(torch.stack(finite).all()):
        return None
    return Divergence("a weight", step)

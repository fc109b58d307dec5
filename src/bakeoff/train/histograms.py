"""Histograms of every parameter and its gradient, for `log=full`."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.summaries import histogram

MOST_A_RUN = 20
BINS = 30


class Histograms(pl.Callback):
    """Writes `weights/<name>` and `gradients/<name>` at validations, about 20 times a run.

    A gradient is that of the step just made, clipped if the run clips.
    """

    def __init__(self, file: EventFile, validations: int) -> None:
        self._file, self._every, self._looks = file, math.ceil(validations / MOST_A_RUN), 0
        self._gradients: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were."""
        return {"looks": self._looks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on counting."""
        self._looks = state_dict["looks"]

    def on_train_batch_start(self, *_: Any) -> None:
        """Lets go of the gradients, whose memory the step needs."""
        self._gradients = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Holds on to the gradients: Lightning drops them before a validation begins."""
        self._gradients = {name: p.grad for name, p in pl_module.named_parameters() if p.grad is not None}

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes all histograms in one record, if it is this validation's turn."""
        self._looks += 1
        if self._looks % self._every:
            return
        summary = Summary()
        for name, parameter in pl_module.named_parameters():
            shown = name.removeprefix("net.").removeprefix("_orig_mod.")  # the module's own, and torch.compile's
            _add(summary, f"weights/{shown}", parameter.detach())
            if name in self._gradients:
                _add(summary, f"gradients/{shown}", self._gradients[name])
        self._file.summary(summary, trainer.global_step)


def _add(summary: Summary, tag: str, values: Tensor) -> None:
    """Adds the histogram of the values that are finite, if there are any."""
    values = values.cpu().double().flatten()  # on the CPU, since torch counts there the same way each time
    values = values[values.isfinite()]
    if not len(values):
        return
    low, high = values.min().item(), values.max().item()
    if low == high:
        margin = max(0.5, abs(low) * 1e-6)
        low, high = low - margin, high + margin
    counts = torch.histc(values, BINS, low, high)
    summary.value.extend(histogram(tag, counts.tolist(), np.linspace(low, high, BINS + 1).tolist()).value)

"""Histograms of every parameter and its gradient, for `log=full`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from bakeoff.module.sharded import whole
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.summaries import histogram
from bakeoff.train.member import SessionMember, Validation

MAX_A_RUN = 20
BINS = 30


class Histograms(SessionMember):
    """Writes `weights/<name>` and `gradients/<name>` at validations, about 20 times a run.

    A gradient is that of the last step before the validation, clipped if the run clips.
    """

    def __init__(self, file: EventFile, validations: int) -> None:
        self._file, self._every, self._count = file, math.ceil(validations / MAX_A_RUN), 0

    def validated(self, validation: Validation) -> None:
        """Writes all histograms in one record, if it is this validation's turn."""
        self._count += 1
        if self._count % self._every:
            return
        summary, gradients = Summary(), validation.gradients()
        for name, parameter in validation.parameters().items():
            _add(summary, f"weights/{name}", parameter)
            if name in gradients:
                _add(summary, f"gradients/{name}", gradients[name])
        self._file.summary(summary, validation.step)

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were."""
        return {"count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the count."""
        self._count = state["count"]


def _add(summary: Summary, tag: str, values: Tensor) -> None:
    """Adds the histogram of the values that are finite, if there are any."""
    values = whole(values).cpu().double().flatten()  # on the CPU, since torch counts there the same way each time
    values = values[values.isfinite()]
    if not len(values):
        return
    low, high = values.min().item(), values.max().item()
    if low == high:
        margin = max(0.5, abs(low) * 1e-6)
        low, high = low - margin, high + margin
    counts = torch.histc(values, BINS, low, high)
    summary.value.extend(histogram(tag, counts.tolist(), np.linspace(low, high, BINS + 1).tolist()).value)

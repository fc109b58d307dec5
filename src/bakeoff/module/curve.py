"""The curve of training losses: gathered on the device, fetched once an interval, written as window means."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

WINDOWS_PER_FETCH = 5


class LossCurve:
    """Collects the loss of every step; gives back one point, the mean over the window, for each `window` steps."""

    def __init__(self, window: int) -> None:
        if not window >= 1:
            raise ValueError(f"window must be >= 1, got {window}")
        self.window = window
        self._losses: list[Tensor] = []
        self._lrs: list[float] = []
        self._steps = 0

    def add(self, loss: Tensor, lr: float) -> bool:
        """Keeps a detached scalar loss, still on its device; true when it is time to fetch what was collected."""
        self._losses.append(loss)
        if len(self._losses) % self.window == 0:
            self._lrs.append(lr)
        return len(self._losses) >= self.window * WINDOWS_PER_FETCH

    def points(self) -> Iterator[tuple[int, float, float | None]]:
        """(step, mean loss, lr) of the windows collected so far; the last may be short and has no lr."""
        if not self._losses:
            return
        losses = torch.stack(self._losses).float().cpu()
        lrs = dict(enumerate(self._lrs))
        self._losses, self._lrs = [], []
        for k, window in enumerate(losses.split(self.window)):
            self._steps += len(window)
            yield self._steps, float(window.mean()), lrs.get(k)

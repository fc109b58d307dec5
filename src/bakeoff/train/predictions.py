"""Keeps what the last validation predicted, so that it can be shown without another pass over the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bakeoff.data import DataSpec
from bakeoff.pairs import as_pair
from bakeoff.train.member import SessionMember

EXAMPLES = 16


class Examples(NamedTuple):
    """Inputs (N, C, H, W) with their true and predicted classes (N,), wrong ones first."""

    x: Tensor
    y: Tensor
    predicted: Tensor


class Predictions(SessionMember):
    """Keeps the true and the predicted class of every validation example and, of images, a few examples whole.

    The device is not waited for: what is kept stays there until it is asked for. Validations before step `not_before`
    are skipped, as none of them is the last.
    """

    def __init__(self, spec: DataSpec, not_before: int = 0) -> None:
        self._not_before, self._is_kept = not_before, False
        shape = spec.in_shape or ()
        self._image_shape = shape if len(shape) == 3 and shape[0] in (1, 3) else None
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._examples: Examples | None = None

    def validation_started(self, step: int) -> None:
        """Drops the validation before."""
        self._is_kept = step >= self._not_before
        self._pairs, self._examples = [], None

    def validation_batch(self, batch: Any, output: Any) -> None:
        """Keeps one batch (x, y), where the output is (N, C)."""
        if not self._is_kept or not torch.is_tensor(output) or output.ndim != 2:
            return
        pair = as_pair(batch)
        if pair is None:
            return
        x, y = pair
        predicted = output.argmax(dim=1)
        self._pairs.append((y, predicted))
        if self._image_shape is not None and isinstance(x, Tensor) and tuple(x.shape[1:]) == self._image_shape:
            found = Examples(x, y, predicted)
            if self._examples is not None:
                found = Examples(*(torch.cat(both) for both in zip(self._examples, found, strict=True)))
            self._examples = _wrong_first(found)

    def state_dict(self) -> dict[str, Any]:
        """What the last validation predicted, where it may be the last of the run."""
        pairs = [(y.cpu(), predicted.cpu()) for y, predicted in self._pairs]
        return {"pairs": pairs, "examples": self._examples and [part.cpu() for part in self._examples]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self._pairs = [(y, predicted) for y, predicted in state["pairs"]]
        self._examples = state["examples"] and Examples(*state["examples"])

    def confusion(self, n_out: int) -> NDArray | None:
        """Counts (n_out, n_out), row the true class, column the predicted one; None where nothing was seen."""
        if not self._pairs:
            return None
        y, predicted = (torch.cat(part).long().cpu().numpy() for part in zip(*self._pairs, strict=True))
        known = (y >= 0) & (y < n_out)  # a label that the loss ignores is no class
        y, predicted = y[known], predicted[known]
        return np.bincount(y * n_out + predicted, minlength=n_out**2).reshape(n_out, n_out)

    def examples(self) -> tuple[NDArray, list[int], list[int]] | None:
        """(N, C, H, W), true and predicted classes; None where the data holds no images."""
        if self._examples is None:
            return None
        x, y, predicted = self._examples
        return x.float().cpu().numpy(), y.tolist(), predicted.tolist()


def _wrong_first(found: Examples) -> Examples:
    order = (found.predicted == found.y).to(torch.uint8).argsort(stable=True)[:EXAMPLES]
    return Examples(*(part[order] for part in found))

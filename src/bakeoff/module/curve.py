"""The curve of training losses: collected on the device, fetched once an interval, written as window means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

WINDOWS_PER_FETCH = 5
Rates = float | tuple[float, ...]  # one for all groups, or one for each place


class Place(NamedTuple):
    """A curve of an option of the optimizer: its tag, the option, and the number of the group that is read."""

    tag: str
    option: str
    group: int


def rate_tags(optimizer: torch.optim.Optimizer, options: Iterable[str] = ("lr",)) -> tuple[Place, ...]:
    """The curves of these options: `lr`, or `lr/<name>` for each group where groups begin with different values.

    A group without a name goes by its number; one that lacks an option has no curve of it.
    """
    return tuple(place for option in options for place in _places(optimizer.param_groups, option))


def _places(groups: list[dict[str, Any]], option: str) -> list[Place]:
    having = [number for number, group in enumerate(groups) if option in group]
    if len({float(groups[number][option]) for number in having}) <= 1:
        return [Place(option, option, number) for number in having[:1]]
    names = [str(group.get("name", number)) for number, group in enumerate(groups)]
    if len(set(names)) < len(names):
        names = [str(number) for number in range(len(groups))]
    return [Place(f"{option}/{names[number]}", option, number) for number in having]


def rates_of(optimizer: torch.optim.Optimizer, places: tuple[Place, ...]) -> Rates:
    """The values that the optimizer has now, in this order."""
    groups = optimizer.param_groups
    if len(places) == 1:
        rate: float = groups[places[0].group][places[0].option]
        return rate
    return tuple(float(groups[place.group][place.option]) for place in places)


class LossCurve:
    """Collects the loss of every step; returns one point for each `window` steps, the mean loss of the window.

    Raises:
        ValueError: `window` is below 1.

    """

    def __init__(self, window: int) -> None:
        if not window >= 1:
            raise ValueError(f"window must be >= 1, got {window}")
        self.window = window
        self._losses: list[Tensor] = []
        self._lrs: list[Rates] = []
        self._of_this_step: list[Tensor] = []  # of its batches before the last one
        self._steps = 0
        self.lr: Rates | None = None  # of the current step; None between steps

    def add(self, loss: Tensor) -> bool:
        """Keeps a detached scalar loss, still on its device. Returns whether the losses are due to be fetched.

        Points are counted in steps: the loss of a step whose gradient several batches have given is their mean.
        """
        if self.lr is None:
            self._of_this_step.append(loss)
            return False
        if self._of_this_step:
            loss = torch.stack([*self._of_this_step, loss]).mean()
            self._of_this_step = []
        self._losses.append(loss)
        self._lrs.append(self.lr)
        self.lr = None
        return len(self._losses) >= self.window * WINDOWS_PER_FETCH

    def points(self, *, last: bool = False) -> Iterator[tuple[int, float, Rates]]:
        """(step, mean loss, lr of that step) for each full window collected; with `last`, for a partial one too."""
        count = len(self._losses) if last else len(self._losses) // self.window * self.window
        if not count:
            return
        device = self._losses[-1].device  # losses from before a resume may be on another device
        losses = torch.stack([loss.to(device) for loss in self._losses[:count]]).float().cpu()
        lrs = self._lrs[:count]
        del self._losses[:count], self._lrs[:count]
        for start, window in zip(range(0, count, self.window), losses.split(self.window), strict=True):
            self._steps += len(window)
            yield self._steps, float(window.mean()), lrs[start + len(window) - 1]

    def state_dict(self) -> dict[str, Any]:
        """The losses and rates that are collected and not written yet."""
        losses, of_this_step = ([loss.cpu() for loss in kept] for kept in (self._losses, self._of_this_step))
        return {"losses": losses, "lrs": self._lrs[:], "steps": self._steps, "of_this_step": of_this_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        self._losses, self._lrs, self._steps = list(state["losses"]), list(state["lrs"]), state["steps"]
        self._of_this_step = list(state.get("of_this_step", ()))  # version 0.2 did not keep them

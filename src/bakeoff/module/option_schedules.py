"""Schedules of an optimizer's options beside the learning rate, such as weight decay and momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch


class OptionSchedules:
    """Sets each option before a step: its initial value, group by group, times the factor of this step.

    The initial values stay in the groups as `initial_<option>`, as torch's schedulers keep `initial_lr`: a state of the
    optimizer that is loaded has the values of its last step.

    Args:
        factors: option -> function of the optimizer step, counted from 0, that gives the factor.

    """

    def __init__(self, factors: Mapping[str, Callable[[int], float]]) -> None:
        self._factors = factors

    def keep_initial_values(self, optimizer: torch.optim.Optimizer) -> None:
        """To be called once, before the state of the optimizer is restored."""
        for option in self._factors:
            for group in optimizer.param_groups:
                if option in group:
                    group.setdefault(f"initial_{option}", group[option])

    def set_values(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Those of optimizer step `step`, in every group that has the option."""
        for option, factor_at in self._factors.items():
            factor = factor_at(step)
            for group in optimizer.param_groups:
                if option in group:
                    group[option] = group[f"initial_{option}"] * factor

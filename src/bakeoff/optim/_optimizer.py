"""What the optimizers share: the walk over the parameters, state that starts at zero, the check of a bound.

State is rebound to the new tensors that a pure update returns, never written in place: optimizers that loaded
one state dict share its tensors safely.
"""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor

Group = dict[str, Any]
State = dict[str, Any]

# torch counts steps in float32 on the CPU, and its state dicts carry the count so
_STEP_ZERO = torch.zeros((), dtype=torch.float32, device="cpu")


class PerParameterOptimizer(torch.optim.Optimizer):
    """Applies one pure update to each parameter in turn; a subclass gives the bounds and the update."""

    def _check(self, group: Group) -> None:
        """Raise ValueError if a hyperparameter of this group is out of bounds."""
        raise NotImplementedError

    def _update(self, param: Tensor, grad: Tensor, group: Group) -> None:
        """Move one parameter along its gradient, and its state with it."""
        raise NotImplementedError

    def add_param_group(self, param_group: Group) -> None:
        """Add a group as torch does, its own hyperparameters checked like the defaults."""
        self._check({**self.defaults, **param_group})
        super().add_param_group(param_group)
        for param in self.param_groups[-1]["params"]:
            if param.is_complex():
                name = type(self).__name__
                raise TypeError(f"{name} needs real parameters, got {param.dtype}: use torch.optim.{name}")

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return what the closure, called first, returned.

        Raises RuntimeError on a sparse gradient.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if (grad := param.grad) is not None:
                    if grad.is_sparse:
                        raise RuntimeError(
                            f"{type(self).__name__} needs dense gradients, got a sparse one: "
                            "make the layer with sparse=False"
                        )
                    self._update(param, grad, group)
        return loss


def next_step(state: State) -> Tensor:
    """The number of the step being taken, counted from 1."""
    step: Tensor = state.get("step", _STEP_ZERO)
    return step + 1


def from_zero(state: State, name: str, param: Tensor) -> Tensor:
    """The named average of this parameter; zeros before its first gradient."""
    average: Tensor | None = state.get(name)
    return torch.zeros_like(param) if average is None else average


def check_at_least_zero(group: Group, *names: str) -> None:
    """Raise ValueError unless each named value is >= 0; NaN is not."""
    for name in names:
        if not group[name] >= 0:
            raise ValueError(f"{name} must be >= 0, got {group[name]}")

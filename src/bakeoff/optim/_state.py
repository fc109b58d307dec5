"""The state of an optimizer: step counts as torch keeps them, and copies of loaded state."""

from typing import Any

import torch
from torch import Tensor

from bakeoff.optim._tensors import Group

State = dict[str, Any]


def copied(state: Any) -> Any:
    """State, its tensors copied."""
    if isinstance(state, Tensor):
        return state.clone()
    return {key: copied(value) for key, value in state.items()} if isinstance(state, dict) else state


def new_count(steps: float, param: Tensor, group: Group) -> Tensor:
    """A step count as torch keeps it: on the parameter's device for kernels that read it, else on the CPU."""
    fused = group["fused"]
    dtype = torch.float64 if torch.get_default_dtype() == torch.float64 and not fused else torch.float32
    is_read_by_kernels = fused or group.get("capturable")
    return torch.tensor(float(steps), dtype=dtype, device=param.device if is_read_by_kernels else "cpu")


def count(step: Tensor, group: Group) -> float | Tensor:
    """The number of steps, from 1: a tensor where asking for the number would break a graph."""
    return step.double() if group.get("capturable") or torch.compiler.is_compiling() else step.item()


def add_one(steps: list[Tensor]) -> None:
    """Count a step, in place."""
    if steps[0].is_cpu and not torch.compiler.is_compiling():
        # a Python number would be wrapped into a new tensor for every count
        torch._foreach_add_(steps, torch.ones((), dtype=steps[0].dtype, device="cpu"), alpha=1.0)
    else:
        torch._foreach_add_(steps, 1)

"""What the code around a step needs to know of an optimizer, so that it does not depend on the optimizer's class."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from bakeoff.optim._tensors import Group, Tensors

# (tensors, group, grad_scale, found_inf): takes the step in place, reading and writing each tensor once
Kernel = Callable[[Tensors, Group, Tensor | None, Tensor | None], None]
# (tensors, group): takes the step in place, by operations on lists of tensors
ListUpdate = Callable[[Tensors, Group], None]


class Algorithm(Protocol):
    """An optimizer's definition, and its faster implementations where it has some."""

    _sparse_error: str | None
    """The message if the algorithm cannot use sparse gradients."""
    _foreach_step: ListUpdate | None
    """Takes the step for tensors of one device and dtype; None if there is no such implementation."""

    def _definition_step(self, tensors: Tensors, group: Group) -> None:
        """Take the step by the definition, one parameter after the other."""

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        """The fused kernels for these tensors, the fastest first; empty if there are none."""

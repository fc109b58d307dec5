"""Parameters of a loss, which are trained with the net's: uncertainty weights, class centres, a learned distance.

A loss that is an `nn.Module` has them registered. One that is a plain object or function may hold modules and
parameters all the same; `registered` makes a module of it, so that they move to the device, are saved and are trained.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
DECLARED = ("task", "ignore_index")  # read off a loss
MAX_DEPTH = 4  # of objects and containers in each other


class LossModule(nn.Module):
    """Calls `loss`, says what it says of itself, and registers what it holds: name -> module or parameter."""

    def __init__(self, loss: Loss, held: Mapping[str, nn.Module | nn.Parameter]) -> None:
        super().__init__()
        self._loss = loss
        for name in DECLARED:
            if hasattr(loss, name):
                setattr(self, name, getattr(loss, name))
        for name, part in held.items():
            setattr(self, name, part)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(output, target)


def registered(loss: Loss, net: nn.Module) -> Loss:
    """The loss itself, unless it is no module and holds parameters or buffers that are not the net's."""
    if isinstance(loss, nn.Module):
        return loss
    own = {id(tensor) for tensor in _tensors(net)}
    held = {name: part for name, part in _held(loss, "", set(), 0) if not {id(t) for t in _tensors(part)} <= own}
    return LossModule(loss, held) if held else loss


def _tensors(part: nn.Module | nn.Parameter) -> list[Tensor]:
    return [part] if isinstance(part, nn.Parameter) else [*part.parameters(), *part.buffers()]


def _held(value: Any, name: str, seen: set[int], depth: int) -> Iterator[tuple[str, nn.Module | nn.Parameter]]:
    if id(value) in seen or depth > MAX_DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module | nn.Parameter):
        yield name or "held", value
        return
    for part_name, part in _parts(value).items():
        yield from _held(part, f"{name or 'held'}_{part_name}".replace(".", "_"), seen, depth + 1)


def _parts(value: Any) -> dict[Any, Any]:
    """What an object, a container or a function holds, by name."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, **value.keywords}
    if inspect.ismethod(value):
        return {"self": value.__self__}
    if isinstance(value, FunctionType):
        cells = value.__closure__ or ()
        return {n: c.cell_contents for n, c in zip(value.__code__.co_freevars, cells, strict=True) if _is_set(c)}
    return {} if isinstance(value, type | ModuleType) else dict(getattr(value, "__dict__", {}))


def _is_set(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a name that the enclosing function has not assigned yet
        return False
    return True

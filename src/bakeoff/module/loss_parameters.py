"""Parameters of a loss, which are trained with the net's: uncertainty weights, class centres, a learned distance.

A loss that is an `nn.Module` has them registered. One that is a plain object or function may hold modules and
parameters all the same; `registered` makes a module of it, so that they move to the device, are saved and are trained.
`copied` copies what functions hold, too.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CellType, FunctionType, ModuleType
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

    def __deepcopy__(self, memo: dict[int, Any]) -> LossModule:
        """Calls a copy of the loss, which holds the parts that are registered here."""
        twin = memo[id(self)] = type(self).__new__(type(self))
        for name, value in vars(self).items():
            vars(twin)[name] = copied(value, memo)
        return twin


def registered(loss: Loss, net: nn.Module) -> Loss:
    """The loss itself, unless it is no module and holds parameters or buffers that are not the net's."""
    if isinstance(loss, nn.Module):
        return loss
    own = {id(tensor) for tensor in _tensors(net)}
    held = {name: part for name, part in _held(loss, "", set(), 0) if not {id(t) for t in _tensors(part)} <= own}
    return LossModule(loss, held) if held else loss


def holds_tensors(loss: Loss) -> bool:
    """Whether a plain object or function holds modules or parameters, be they the net's."""
    return any(_tensors(part) for _, part in _held(loss, "", set(), 0))


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """As `copy.deepcopy`, which leaves functions as they are: what their closures and defaults hold is copied, too.

    Args:
        value: a loss; or a tuple of a net and a loss, which may share parameters.
        memo: that of `copy.deepcopy`.

    """
    memo = {} if memo is None else memo
    return _with_own_functions(value, copy.deepcopy(value, memo), memo, 0)


def _with_own_functions(value: Any, twin: Any, memo: dict[int, Any], depth: int) -> Any:
    """`twin`, a deep copy of `value`, with copies of the functions in it, as deep as `_held` looks for parameters."""

    def within(part: Any, twin_part: Any) -> Any:
        return _with_own_functions(part, twin_part, memo, depth + 1)

    if isinstance(value, FunctionType):
        return _copied_function(value, memo)
    if depth > MAX_DEPTH:
        return twin
    if type(value) is tuple:  # itself, where `copy.deepcopy` finds functions alone in it
        return tuple(map(within, value, twin))
    if twin is value:
        return twin
    if isinstance(value, list):
        twin[:] = map(within, value, twin)
    elif isinstance(value, functools.partial):
        state, twin_state = ((p.func, p.args, p.keywords, vars(p)) for p in (value, twin))
        twin.__setstate__(within(state, twin_state))
    elif inspect.ismethod(value):
        within(value.__self__, twin.__self__)
    else:
        parts, twin_parts = (p if isinstance(p, dict) else getattr(p, "__dict__", {}) for p in (value, twin))
        for name in parts.keys() & twin_parts.keys():
            twin_parts[name] = within(parts[name], twin_parts[name])
    return twin


def _copied_function(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    if not (function.__closure__ or function.__defaults__ or function.__kwdefaults__):
        return function
    if id(function) in memo:
        known: FunctionType = memo[id(function)]
        return known
    cells = tuple(CellType() for _ in function.__closure__ or ())
    twin = FunctionType(function.__code__, function.__globals__, closure=cells)
    functools.update_wrapper(twin, function)
    vars(twin).clear()  # of `__wrapped__`
    vars(twin).update(vars(function))
    memo[id(function)] = twin  # before what it holds, which may be itself
    twin.__defaults__, twin.__kwdefaults__ = copied((function.__defaults__, function.__kwdefaults__), memo)
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        if _is_set(original):
            held = original.cell_contents
            cell.cell_contents = held if isinstance(held, ModuleType) else copied(held, memo)
    return twin


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
        cells = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
        return {**_defaults(value), **{name: cell.cell_contents for name, cell in cells.items() if _is_set(cell)}}
    return {} if isinstance(value, type | ModuleType) else dict(getattr(value, "__dict__", {}))


def _defaults(function: FunctionType) -> dict[str, Any]:
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _is_set(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a name that the enclosing function has not assigned yet
        return False
    return True

"""A batch as a pair of input and target.

    (x, y)                                                 net(x)
    {"image": x, "label": y}                               net(x)
    {"input_ids": a, "attention_mask": b, "labels": y}     net(input_ids=a, attention_mask=b)
    ({"input_ids": a, "attention_mask": b}, y)             the same

In a dictionary the target has one of the names `TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Inputs = Tensor | Mapping[str, Tensor]
TARGETS = ("labels", "label", "targets", "target", "y")
EXPECTED = f"(x, y), or dictionaries of tensors with a target called {', '.join(TARGETS[:-1])} or {TARGETS[-1]}"


def as_pair(batch: object) -> tuple[Inputs, Tensor] | None:
    """Input and target, with samples along the first axis of all tensors; None where the batch is no such thing."""
    if isinstance(batch, Mapping):
        named = [name for name in TARGETS if name in batch]
        if len(named) != 1 or len(batch) < 2 or not all(map(_is_batch, batch.values())):
            return None
        x = {name: value for name, value in batch.items() if name != named[0]}
        return (x if len(x) > 1 else next(iter(x.values()))), batch[named[0]]
    if isinstance(batch, tuple | list) and len(batch) == 2 and _is_batch(batch[1]) and _is_input(batch[0]):
        return batch[0], batch[1]
    return None


def _is_input(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(map(_is_batch, value.values()))
    return _is_batch(value)


def _is_batch(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def call(net: Callable[..., Any], x: Inputs) -> Any:
    """What a net gives for an input; several tensors are passed by their names."""
    return net(x) if isinstance(x, Tensor) else net(**x)


def map_inputs(function: Callable[..., Tensor], *inputs: Inputs) -> Inputs:
    """Applies a function to the tensors of inputs, those of one name together."""
    first = inputs[0]
    if isinstance(first, Tensor):
        return function(*inputs)
    return {name: function(*(x[name] for x in inputs)) for name in first}  # type: ignore[index]  # all are of one kind


def tensors_of(x: Inputs) -> list[Tensor]:
    """Those of an input."""
    return [x] if isinstance(x, Tensor) else list(x.values())

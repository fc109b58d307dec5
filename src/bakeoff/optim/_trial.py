"""The trial of a kernel: it must do to a small example what the definition does, before it is taken.

None of torch's fused operators is promised by torch, and what a compiler makes of our own depends on the machine.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bakeoff.optim import _replicas
from bakeoff.optim._tensors import Group, Tensors

if TYPE_CHECKING:
    from bakeoff.optim._optimizer import UpdateOptimizer

log = logging.getLogger("bakeoff.optim")
Kernel = Callable[[Tensors, Group, Tensor | None, Tensor | None], None]
# Absolute and relative error in one step from values of about 1; the kernels round in another order.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
# Those that take a kernel another path through its code.
OPTIONS = ("momentum", "dampening", "nesterov", "weight_decay", "decoupled_weight_decay", "maximize")
_HARMLESS: Group = {
    "lr": 0.1,
    "momentum": 0.9,
    "dampening": 0.3,
    "weight_decay": 0.1,
    "alpha": 0.9,
    "betas": (0.8, 0.9),
    "eps": 1e-3,
}
# With a remainder after whole vectors and without; and so that no number of threads parts the vectors evenly.
_SIZES = (67, 64, 263 * 16 + 3)
_said: set[str] = set()


@torch.no_grad()
def agrees(kernel: Kernel, optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> bool:
    """Whether the kernel, as it is with this torch on this machine, does what the definition does."""
    group, param = _trial_group(group), tensors.params[0]
    expected = _example(tensors, _replicas.count(group))
    found = expected.with_lists([[t.clone() for t in of_kind] for of_kind in expected.lists()])
    for slices, own in _replicas.each(expected, group):
        optimizer._define(slices, own)
    try:
        for slices, own in [(found, group)] if tensors.on_cuda else _replicas.each(found, group):
            kernel(slices, own, None, None)
    except Exception as error:  # an operator that is gone, a compiler that is missing: whatever it is
        say_once(
            f"a fused kernel of {type(optimizer).__name__} cannot be used with torch {torch.__version__} ({error}); "
            "steps go another way"
        )
        return False
    tolerance = TOLERANCE[param.dtype]
    same = all(
        torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        for ours, theirs in zip(expected.lists(), found.lists(), strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    if not same:
        say_once(
            f"a fused kernel of {type(optimizer).__name__} differs from the definition with torch {torch.__version__} "
            f"for {param.dtype} on {param.device}; steps go another way"
        )
    return same


def _trial_group(group: Group) -> Group:
    """The group with harmless values in place of its own, so that the verdict is one on the kernel."""
    own = {name: _harmless(name, group[name]) for name in _HARMLESS if name in group}
    replicas = group.get("replicas") and {
        name: [_harmless(name, value) for value in values] for name, values in group["replicas"].items()
    }
    return {**group, **own, "replicas": replicas, **({"lr": 1.0} if replicas and "lr" in replicas else {})}


def _harmless(name: str, value: Any) -> Any:
    # without momentum or decay a kernel takes another path through its code
    return _HARMLESS[name] if value or name not in OPTIONS else value


def _example(tensors: Tensors, replicas: int | None) -> Tensors:
    """Tensors of a few sizes in place of these."""
    param, generator = tensors.params[0], torch.Generator().manual_seed(0)
    stacked = () if replicas is None else (replicas,)

    def example(scale: float) -> list[Tensor]:
        examples = [torch.rand(*stacked, n, generator=generator, device="cpu") + 1 for n in _SIZES]
        return [(scale * tensor).to(param.device, param.dtype) for tensor in examples]

    # a mean that is small beside the root of the mean square, as any is: their difference is what centered divides by
    scales = [1.0, 1.0, *({"grad_avg": 0.1}.get(name, 1.0 - tensors.first) for name in tensors.averages)]
    steps = [torch.full_like(step, 3) for step in tensors.steps[:1] * len(_SIZES)]
    return tensors.with_lists([example(scale) for scale in scales], steps=steps)


def say_once(message: str) -> None:
    """Log a warning, unless this process has."""
    if message not in _said:
        _said.add(message)
        log.warning(message)

"""Verifies a kernel before its first use: on a small example it must do what the definition does.

Torch promises none of its fused operators, and what a compiler makes of ours depends on the machine.
"""

import logging
from typing import Any

import torch
from torch import Tensor

from bakeoff.optim import _replicas
from bakeoff.optim._algorithm import Algorithm, Kernel
from bakeoff.optim._tensors import Group, Tensors

log = logging.getLogger("bakeoff.optim")
# Absolute and relative error in one step from values of about 1; the kernels round in another order.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
# Zero or not, they change the path through a kernel's code.
OPTIONS = ("momentum", "dampening", "nesterov", "weight_decay", "decoupled_weight_decay", "maximize")
_EXAMPLE_VALUES: Group = {
    "lr": 0.1,
    "momentum": 0.9,
    "dampening": 0.3,
    "weight_decay": 0.1,
    "alpha": 0.9,
    "betas": (0.8, 0.9),
    "eps": 1e-3,
}
# With a remainder after whole vectors and without; and a size that no number of threads divides into whole vectors.
_EXAMPLE_SIZES = (67, 64, 263 * 16 + 3)
_warned: set[str] = set()


@torch.no_grad()
def matches_reference(kernel: Kernel, algorithm: Algorithm, tensors: Tensors, group: Group) -> bool:
    """Whether the kernel, with this torch on this machine, does what the definition does; warns if not."""
    group, param = _example_group(group), tensors.params[0]
    name = f"a fused kernel of {type(algorithm).__name__}"
    expected = _example_tensors(tensors, _replicas.count(group))
    found = expected.with_lists([[t.clone() for t in of_kind] for of_kind in expected.lists()])
    for slices, own in _replicas.each(expected, group):
        algorithm._definition_step(slices, own)
    try:
        for slices, own in [(found, group)] if tensors.on_cuda else _replicas.each(found, group):
            kernel(slices, own, None, None)
    except Exception as error:  # an operator that was removed, a compiler that is missing: whatever it is
        warn_once(f"{name} cannot be used with torch {torch.__version__} ({error}); a slower implementation is used")
        return False
    tolerance = TOLERANCE[param.dtype]
    is_same = all(
        torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        for ours, theirs in zip(expected.lists(), found.lists(), strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    if not is_same:
        warn_once(
            f"{name} differs from the definition with torch {torch.__version__} for {param.dtype} on {param.device}; "
            "a slower implementation is used"
        )
    return is_same


def warn_once(message: str) -> None:
    """Log a warning, unless this process has logged it before."""
    if message not in _warned:
        _warned.add(message)
        log.warning(message)


def _example_group(group: Group) -> Group:
    """The group with the example's values in place of its own, so that only the kernel is judged."""
    own = {name: _example_value(name, group[name]) for name in _EXAMPLE_VALUES if name in group}
    replicas = group.get("replicas") and {
        name: [_example_value(name, value) for value in values] for name, values in group["replicas"].items()
    }
    return {**group, **own, "replicas": replicas, **({"lr": 1.0} if replicas and "lr" in replicas else {})}


def _example_value(name: str, value: Any) -> Any:
    # an option that is zero stays zero: without momentum or decay a kernel takes another path through its code
    is_off = name in OPTIONS and not value
    return value if is_off else _EXAMPLE_VALUES.get(name, value)


def _example_tensors(tensors: Tensors, replicas: int | None) -> Tensors:
    """Tensors of a few sizes in place of these."""
    param, generator = tensors.params[0], torch.Generator().manual_seed(0)
    stacked = () if replicas is None else (replicas,)

    def example(scale: float) -> list[Tensor]:
        examples = [torch.rand(*stacked, n, generator=generator, device="cpu") + 1 for n in _EXAMPLE_SIZES]
        return [(scale * tensor).to(param.device, param.dtype) for tensor in examples]

    # a mean that is small beside the root of the mean square, as any is: centered divides by their difference
    scales = [1.0, 1.0, *({"grad_avg": 0.1}.get(name, 1.0 - tensors.first) for name in tensors.averages)]
    steps = [torch.full_like(step, 3) for step in tensors.steps[:1] * len(_EXAMPLE_SIZES)]
    return tensors.with_lists([example(scale) for scale in scales], steps=steps)

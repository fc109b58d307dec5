"""Which tensors go which way: fused kernels, operations on lists, or the definition.

`fused=True` asks for kernels, `foreach=True` for lists, `False` for the definition; with neither the fastest way
that is right is taken. Kernels walk flat memory, so they get what is dense and equally laid out, and nothing else;
they are taken once they have agreed with the definition on a small example, with these options, on this machine.
"""

import logging
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

from bakeoff.optim import _replicas
from bakeoff.optim._tensors import Group, Tensors

if TYPE_CHECKING:
    from bakeoff.optim._optimizer import UpdateOptimizer

log = logging.getLogger("bakeoff.optim")

# Absolute and relative error in one step from values of about 1; the kernels round in another order.
_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
_PLAIN = {Tensor, Parameter}
# Those that take a kernel another path through its code.
_OPTIONS = ("momentum", "dampening", "nesterov", "weight_decay", "decoupled_weight_decay", "maximize")
# With a remainder after whole vectors and without; and so that no number of threads parts the vectors evenly.
_SIZES = (67, 64, 263 * 16 + 3)
_agreed: dict[tuple[object, ...], bool] = {}
_said: set[str] = set()


class Way(Enum):
    """How a step is taken."""

    DEFINITION = "definition"
    FOREACH = "foreach"
    FUSED = "fused"


def plan(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> list[tuple[Way, Tensors]]:
    """The tensors, parted by the way that each goes. Raises as torch does if capturable on a device without."""
    fused, foreach = group["fused"], group["foreach"]
    has_sparse = any(map(attrgetter("is_sparse"), tensors.grads))
    if has_sparse and optimizer.refuses_sparse:
        raise RuntimeError(f"{optimizer.refuses_sparse}. Make the layer with sparse=False")
    if not fused:
        _check_capturable(tensors, group)
    by_choice = fused is None and foreach is None
    if group["differentiable"] or not (fused or foreach or by_choice):
        return [(Way.DEFINITION, tensors.real())]
    if torch.compiler.is_compiling():  # the compiler fuses by itself
        return [(Way.FOREACH if foreach or tensors.on_cuda else Way.DEFINITION, tensors.real())]
    alike, others = _by_layout(tensors, has_sparse)
    ways = [(Way.DEFINITION, others.real())] if others else []
    if others and fused:
        _say_once("fused=True: some tensors are not plain, dense and equally strided; they go by the definition")
    for part in _by_device_and_dtype(alike) if alike else ():
        if not foreach and _may_fuse(optimizer, part, group):
            ways.append((Way.FUSED, part))
        else:
            ways.append((Way.FOREACH if foreach or part.on_cuda else Way.DEFINITION, part))
    return ways


def _by_layout(tensors: Tensors, has_sparse: bool) -> tuple[Tensors | None, Tensors | None]:
    """What a kernel may walk as flat memory, and what not."""
    types = {*map(type, tensors.params), *map(type, tensors.grads)}
    is_plain = types <= _PLAIN and not has_sparse and not any(map(Tensor.is_neg, tensors.grads))
    if is_plain and all(all(map(Tensor.is_contiguous, of_kind)) for of_kind in tensors.lists()):
        return tensors, None
    flat = [_is_flat([of_kind[i] for of_kind in tensors.lists()]) for i in range(len(tensors))]
    alike, others = ([i for i, is_flat in enumerate(flat) if is_flat is wanted] for wanted in (True, False))
    return tensors.at(alike) if alike else None, tensors.at(others) if others else None


def _is_flat(of_param: list[Tensor]) -> bool:
    """Whether a parameter, its gradient and state are dense and lie in the same order in memory."""
    param, grad, *_ = of_param
    if type(param) not in _PLAIN or type(grad) not in _PLAIN or grad.layout is not torch.strided or grad.is_neg():
        return False
    if all(map(Tensor.is_contiguous, of_param)):
        return True
    elements = 1
    for size, stride in sorted(zip(param.shape, param.stride(), strict=True), key=lambda dim: dim[1]):
        if size != 1 and stride != elements:
            return False
        elements *= size
    return all(tensor.stride() == param.stride() for tensor in of_param)


def _by_device_and_dtype(tensors: Tensors) -> list[Tensors]:
    steps = [tensors.steps] if tensors.steps else []
    lists: list[Any] = [*tensors.lists(), *steps]
    grouped: dict[Any, Any] = _group_tensors_by_device_and_dtype(lists)
    count = len(tensors.lists())
    parts = [
        tensors.with_lists(lists[:count], steps=lists[count] if steps else []) if len(grouped) > 1 else tensors
        for lists, _ in grouped.values()
    ]
    return [part.real() if part.params[0].is_complex() else part for part in parts]


def _may_fuse(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> bool:
    param = tensors.params[0]
    if param.device.type not in ("cpu", "cuda") or param.dtype not in _TOLERANCE:
        return False
    options = tuple([bool(group.get(name)) for name in _OPTIONS])
    kind = (type(optimizer), *tensors.averages, tensors.first)
    key = (kind, param.device, param.dtype, options, _replicas.count(group), torch.get_num_threads())
    if key not in _agreed:
        if tensors.on_cuda and torch.cuda.is_current_stream_capturing():
            return False
        _agreed[key] = _agrees(optimizer, tensors, group)
    return _agreed[key]


@torch.no_grad()
def _agrees(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> bool:
    """Whether the kernels, as they are in this version of torch, do what the definition does."""
    param, replicas = tensors.params[0], _replicas.count(group)
    group = {**group, "lr": 0.1} if replicas is None else group
    stacked = () if replicas is None else (replicas,)
    generator = torch.Generator().manual_seed(0)

    def example(scale: float) -> list[Tensor]:
        examples = [torch.rand(*stacked, n, generator=generator) + 1 for n in _SIZES]
        return [(scale * tensor).to(param.device, param.dtype) for tensor in examples]

    # a mean that is small beside the root of the mean square, as any is: their difference is what centered divides by
    scales = [1.0, 1.0, *({"grad_avg": 0.1}.get(name, 1.0 - tensors.first) for name in tensors.averages)]
    expected = tensors.with_lists(
        [example(scale) for scale in scales],
        steps=[torch.full_like(step, 3) for step in tensors.steps[:1] * len(_SIZES)],
    )
    found = expected.with_lists([[t.clone() for t in of_kind] for of_kind in expected.lists()])
    for slices, own in _replicas.each(expected, group):
        optimizer._define(slices, own)
    try:
        for slices, own in [(found, group)] if tensors.on_cuda else _replicas.each(found, group):
            optimizer._fused(slices, own, None, None)
    except Exception as error:  # an operator that is gone, a compiler that is missing: whatever it is
        _say_once(f"fused kernels cannot be used with torch {torch.__version__} ({error}); steps go another way")
        return False
    tolerance = _TOLERANCE[param.dtype]
    same = all(
        torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        for ours, theirs in zip(expected.lists(), found.lists(), strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    if not same:
        _say_once(
            f"fused kernels with torch {torch.__version__} differ from the definition of {type(optimizer).__name__} "
            f"for {param.dtype} on {param.device}; steps go another way"
        )
    return same


def _check_capturable(tensors: Tensors, group: Group) -> None:
    if group.get("capturable") and not torch.compiler.is_compiling():
        supported = ["cuda", "xpu", "hpu", torch._C._get_privateuse1_backend_name(), "xla"]
        for param, step in zip(tensors.params, tensors.steps, strict=True):
            if not (param.device.type == step.device.type and param.device.type in supported):
                raise AssertionError(
                    f"If capturable=True, params and state_steps must be on supported devices: {supported}. "
                    f"Got {param.device.type} and {step.device.type}: set capturable=False"
                )


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        log.warning(message)

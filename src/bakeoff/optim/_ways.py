"""Which tensors go which way: fused kernels, operations on lists, or the definition.

`fused=True` asks for kernels, `foreach=True` for lists, `False` for the definition; with neither the fastest way
that is right is taken. Kernels walk flat memory, so they get what is dense and equally laid out, and nothing else;
they are taken once they have agreed with the definition on a small example, with these options, on this machine.
"""

from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from bakeoff.optim import _replicas
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._trial import OPTIONS, TOLERANCE, Kernel, agrees, say_once

if TYPE_CHECKING:
    from bakeoff.optim._optimizer import UpdateOptimizer

_PLAIN = {Tensor, Parameter}
_agreed: dict[tuple[Kernel, tuple[object, ...]], bool] = {}


class Way(Enum):
    """How a step is taken."""

    DEFINITION = "definition"
    FOREACH = "foreach"
    FUSED = "fused"


class Part(NamedTuple):
    """Tensors that go one way, by a kernel if they are fused."""

    way: Way
    tensors: Tensors
    kernel: Kernel | None = None


def plan(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> list[Part]:
    """The tensors, parted by the way that each goes. Raises as torch does if capturable on a device without."""
    fused, foreach = group["fused"], group["foreach"]
    if not fused:
        _check_capturable(tensors, group)
    by_choice = fused is None and foreach is None
    if group["differentiable"] or not (fused or foreach or by_choice):
        _refuse_sparse(optimizer, tensors)
        return [Part(Way.DEFINITION, tensors.real())]
    if torch.compiler.is_compiling():  # the compiler fuses by itself
        _refuse_sparse(optimizer, tensors)
        return [Part(Way.FOREACH if foreach or tensors.on_cuda else Way.DEFINITION, tensors.real())]
    if _are_alike(tensors):
        return [_alike_part(optimizer, tensors, group)]
    _refuse_sparse(optimizer, tensors)
    kinds = _by_kind(tensors, _replicas.count(group))
    others = kinds.pop(None, None)
    if others and fused:
        say_once("fused=True: some tensors are not plain, dense and equally strided; they go by the definition")
    parts = [Part(Way.DEFINITION, tensors.at(others).real())] if others else []
    return parts + [_alike_part(optimizer, tensors.at(indices), group) for indices in kinds.values()]


def _alike_part(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> Part:
    if tensors.params[0].is_complex():
        tensors = tensors.real()
    kernel = None if group["foreach"] else _kernel(optimizer, tensors, group)
    if kernel is not None:
        return Part(Way.FUSED, tensors, kernel)
    return Part(Way.FOREACH if group["foreach"] or tensors.on_cuda else Way.DEFINITION, tensors)


def _refuse_sparse(optimizer: "UpdateOptimizer", tensors: Tensors) -> None:
    if optimizer.refuses_sparse and any(map(attrgetter("is_sparse"), tensors.grads)):
        raise RuntimeError(f"{optimizer.refuses_sparse}. Make the layer with sparse=False")


def _are_alike(tensors: Tensors) -> bool:
    """Whether all are plain and contiguous, on one device, of one dtype, and as long as their parameters.

    A kernel that is handed anything else writes where it should not, so every step looks; for the usual case the
    loops are C's. Of gradients and state the first stand for all, since they change device and dtype with their net.
    """
    lists, params = tensors.lists(), tensors.params
    try:
        is_contiguous = all(all(map(Tensor.is_contiguous, of_kind)) for of_kind in lists)
    except RuntimeError:  # sparse tensors have no strides
        return False
    sizes = list(map(attrgetter("nbytes"), params))
    return (
        is_contiguous
        and {*map(type, params), *map(type, tensors.grads)} <= _PLAIN
        and not any(map(Tensor.is_neg, tensors.grads))
        and len(set(map(attrgetter("dtype"), params))) == 1
        and len(set(map(Tensor.get_device, params))) == 1
        and all(list(map(attrgetter("nbytes"), of_kind)) == sizes for of_kind in lists[1:])
        and all((t.dtype, t.device) == (params[0].dtype, params[0].device) for t, *_ in lists[1:])
    )


def _by_kind(tensors: Tensors, replicas: int | None) -> dict[tuple[torch.device, torch.dtype] | None, list[int]]:
    """The parameters by device and dtype; under None those whose tensors a kernel cannot walk as flat memory."""
    kinds: dict[tuple[torch.device, torch.dtype] | None, list[int]] = {}
    for i, param in enumerate(tensors.params):
        is_flat = _is_flat([of_kind[i] for of_kind in tensors.lists()], replicas)
        kinds.setdefault((param.device, param.dtype) if is_flat else None, []).append(i)
    return kinds


def _is_flat(of_param: list[Tensor], replicas: int | None) -> bool:
    """Whether a parameter, its gradient and state are alike, dense and lie in the same order in memory."""
    param, grad, *_ = of_param
    if type(param) not in _PLAIN or type(grad) not in _PLAIN or grad.layout is not torch.strided or grad.is_neg():
        return False
    if any((t.shape, t.dtype, t.device) != (param.shape, param.dtype, param.device) for t in of_param):
        return False
    if replicas is not None and param.stride(0) * replicas != param.numel():
        return False
    if all(map(Tensor.is_contiguous, of_param)):
        return True
    elements = 1
    for size, stride in sorted(zip(param.shape, param.stride(), strict=True), key=lambda dim: dim[1]):
        if size != 1 and stride != elements:
            return False
        elements *= size
    return all(tensor.stride() == param.stride() for tensor in of_param)


def _kernel(optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> Kernel | None:
    """The first of the optimizer's kernels that is right for these tensors."""
    param = tensors.params[0]
    if param.device.type not in ("cpu", "cuda") or param.dtype not in TOLERANCE:
        return None
    if tensors.on_cuda and not group["fused"] and any(isinstance(beta, Tensor) for beta in group.get("betas", ())):
        return None  # a kernel takes numbers, and asking the GPU for them could not be captured
    options = tuple([bool(group.get(name)) for name in OPTIONS])
    kind = (type(optimizer), *tensors.averages, tensors.first)
    counts = tensors.steps[0].dtype if tensors.steps else None
    key = (kind, param.device, param.dtype, counts, options, _replicas.count(group), torch.get_num_threads())
    for kernel in optimizer._kernels(tensors, group):
        if (kernel, key) not in _agreed:
            if tensors.on_cuda and torch.cuda.is_current_stream_capturing():
                return None
            _agreed[kernel, key] = agrees(kernel, optimizer, tensors, group)
        if _agreed[kernel, key]:
            return kernel
    return None


def _check_capturable(tensors: Tensors, group: Group) -> None:
    if group.get("capturable") and not torch.compiler.is_compiling():
        supported = ["cuda", "xpu", "hpu", torch._C._get_privateuse1_backend_name(), "xla"]
        for param, step in zip(tensors.params, tensors.steps, strict=True):
            if not (param.device.type == step.device.type and param.device.type in supported):
                raise AssertionError(
                    f"If capturable=True, params and state_steps must be on supported devices: {supported}. "
                    f"Got {param.device.type} and {step.device.type}: set capturable=False"
                )

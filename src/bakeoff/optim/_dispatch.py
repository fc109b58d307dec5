"""Chooses the implementation of a step for each tensor: a fused kernel, operations on lists, or the definition.

`fused=True` asks for kernels, `foreach=True` for lists, `False` for the definition. With neither, the first of these
that exists and is correct is used. Kernels walk flat memory, so they are given dense tensors with equal strides and
nothing else. A kernel is used once it has matched the definition on a small example, with these options, on this
machine (`_verify`).
"""

from enum import Enum
from operator import attrgetter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from bakeoff.optim import _replicas
from bakeoff.optim._algorithm import Algorithm, Kernel
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._verify import OPTIONS, TOLERANCE, matches_reference, warn_once

_PLAIN = {Tensor, Parameter}
_verified: dict[tuple[Kernel, tuple[object, ...]], bool] = {}


class Implementation(Enum):
    """How a step is computed."""

    DEFINITION = "definition"
    FOREACH = "foreach"
    FUSED = "fused"


class Part(NamedTuple):
    """Tensors that share an implementation; a kernel if that is fused."""

    implementation: Implementation
    tensors: Tensors
    kernel: Kernel | None = None


def dispatch(algorithm: Algorithm, tensors: Tensors, group: Group) -> list[Part]:
    """Split the tensors by implementation.

    Raises RuntimeError on sparse gradients that the algorithm cannot use, and, as torch does, AssertionError if
    `capturable` is set on a device that cannot capture.
    """
    if type(tensors.params[0]) not in _PLAIN and not group["differentiable"]:
        tensors = tensors.local()
    fused, foreach = group["fused"], group["foreach"]
    if not fused:
        _check_capturable(tensors, group)
    is_automatic = fused is None and foreach is None
    if group["differentiable"] or not (fused or foreach or is_automatic):
        _refuse_sparse(algorithm, tensors)
        return [Part(Implementation.DEFINITION, tensors.real())]
    if torch.compiler.is_compiling():  # the compiler fuses by itself
        _refuse_sparse(algorithm, tensors)
        use_lists = (foreach or tensors.on_cuda) and algorithm._foreach_step is not None
        return [Part(Implementation.FOREACH if use_lists else Implementation.DEFINITION, tensors.real())]
    if _are_alike(tensors):
        return [_part_of_alike(algorithm, tensors, group)]
    _refuse_sparse(algorithm, tensors)
    kinds = _by_kind(tensors, _replicas.count(group))
    others = kinds.pop(None, None)
    if others and fused:
        warn_once("fused=True: some tensors are not plain, dense and equally strided; the definition updates them")
    parts = [Part(Implementation.DEFINITION, tensors.at(others).real())] if others else []
    return parts + [_part_of_alike(algorithm, tensors.at(indices), group) for indices in kinds.values()]


def _part_of_alike(algorithm: Algorithm, tensors: Tensors, group: Group) -> Part:
    if tensors.params[0].is_complex():
        tensors = tensors.real()
    kernel = None if group["foreach"] else _kernel(algorithm, tensors, group)
    if kernel is not None:
        return Part(Implementation.FUSED, tensors, kernel)
    part = Part(_without_kernel(algorithm, tensors, group), tensors)
    asked = next((flag for flag in ("fused", "foreach") if group[flag]), None)
    if asked is not None and asked != part.implementation.value:
        name, param = type(algorithm).__name__, tensors.params[0]
        warn_once(
            f"{asked}=True: {name} has no {asked} implementation for {param.dtype} on {param.device}; "
            f"it uses {'lists' if part.implementation is Implementation.FOREACH else 'the definition'}"
        )
    return part


def _without_kernel(algorithm: Algorithm, tensors: Tensors, group: Group) -> Implementation:
    param = tensors.params[0]
    # the lists of a CPU are faster in these; half precision is copied to single either way
    is_fast_and_exact = param.device.type == "cpu" and param.dtype in (torch.float32, torch.float64)
    if algorithm._foreach_step is not None and (group["foreach"] or tensors.on_cuda or is_fast_and_exact):
        return Implementation.FOREACH
    return Implementation.DEFINITION


def _refuse_sparse(algorithm: Algorithm, tensors: Tensors) -> None:
    if algorithm._sparse_error and any(map(attrgetter("is_sparse"), tensors.grads)):
        raise RuntimeError(f"{algorithm._sparse_error}. Make the layer with sparse=False")


def _are_alike(tensors: Tensors) -> bool:
    """Whether all are plain and contiguous, on one device, of one dtype, and as long as their parameters.

    A kernel that is given anything else writes where it should not, so every step checks; for the common case the
    loops are C's. The first gradient and the first of each state stand for all, since they change device and dtype
    with their net.
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
    """Whether a parameter, its gradient and state are alike, dense and in the same order in memory."""
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


def _kernel(algorithm: Algorithm, tensors: Tensors, group: Group) -> Kernel | None:
    """The first of the algorithm's kernels that is correct for these tensors."""
    param = tensors.params[0]
    if param.device.type not in ("cpu", "cuda") or param.dtype not in TOLERANCE:
        return None
    if tensors.on_cuda and not group["fused"] and any(isinstance(beta, Tensor) for beta in group.get("betas", ())):
        return None  # a kernel takes numbers, and asking the GPU for them could not be captured
    options = tuple([bool(group.get(name)) for name in OPTIONS])
    kind = (type(algorithm), *tensors.averages, tensors.first)
    counts = tensors.steps[0].dtype if tensors.steps else None
    key = (kind, param.device, param.dtype, counts, options, _replicas.count(group), torch.get_num_threads())
    for kernel in algorithm._kernels(tensors, group):
        if (kernel, key) not in _verified:
            if tensors.on_cuda and torch.cuda.is_current_stream_capturing():
                return None
            _verified[kernel, key] = matches_reference(kernel, algorithm, tensors, group)
        if _verified[kernel, key]:
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

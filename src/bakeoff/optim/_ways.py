"""Which tensors go which way: fused kernels, operations on lists, or the definition.

`fused=True` asks for kernels, `foreach=True` for lists, `False` for the definition; with neither the fastest way
that is right is taken. Kernels walk flat memory, so they get what is dense and equally laid out, and nothing else;
they are taken once they have agreed with the definition on a small example, with these options, on this machine.
"""

import logging
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from bakeoff.optim import _replicas
from bakeoff.optim._tensors import Group, Tensors

if TYPE_CHECKING:
    from bakeoff.optim._optimizer import UpdateOptimizer

log = logging.getLogger("bakeoff.optim")

# Absolute and relative error in one step from values of about 1; the kernels round in another order.
_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
Kernel = Callable[[Tensors, Group, Tensor | None, Tensor | None], None]
_PLAIN = {Tensor, Parameter}
_HARMLESS: Group = {
    "lr": 0.1,
    "momentum": 0.9,
    "dampening": 0.3,
    "weight_decay": 0.1,
    "alpha": 0.9,
    "betas": (0.8, 0.9),
    "eps": 1e-3,
}
# Those that take a kernel another path through its code.
_OPTIONS = ("momentum", "dampening", "nesterov", "weight_decay", "decoupled_weight_decay", "maximize")
# With a remainder after whole vectors and without; and so that no number of threads parts the vectors evenly.
_SIZES = (67, 64, 263 * 16 + 3)
_agreed: dict[tuple[Kernel, tuple[object, ...]], bool] = {}
_said: set[str] = set()


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
        _say_once("fused=True: some tensors are not plain, dense and equally strided; they go by the definition")
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
    if param.device.type not in ("cpu", "cuda") or param.dtype not in _TOLERANCE:
        return None
    if tensors.on_cuda and not group["fused"] and any(isinstance(beta, Tensor) for beta in group.get("betas", ())):
        return None  # a kernel takes numbers, and asking the GPU for them could not be captured
    options = tuple([bool(group.get(name)) for name in _OPTIONS])
    kind = (type(optimizer), *tensors.averages, tensors.first)
    counts = tensors.steps[0].dtype if tensors.steps else None
    key = (kind, param.device, param.dtype, counts, options, _replicas.count(group), torch.get_num_threads())
    for kernel in optimizer._kernels(tensors, group):
        if (kernel, key) not in _agreed:
            if tensors.on_cuda and torch.cuda.is_current_stream_capturing():
                return None
            _agreed[kernel, key] = _agrees(kernel, optimizer, tensors, group)
        if _agreed[kernel, key]:
            return kernel
    return None


@torch.no_grad()
def _agrees(kernel: Kernel, optimizer: "UpdateOptimizer", tensors: Tensors, group: Group) -> bool:
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
        _say_once(
            f"a fused kernel of {type(optimizer).__name__} cannot be used with torch {torch.__version__} ({error}); "
            "steps go another way"
        )
        return False
    tolerance = _TOLERANCE[param.dtype]
    same = all(
        torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
        for ours, theirs in zip(expected.lists(), found.lists(), strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    if not same:
        _say_once(
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
    return _HARMLESS[name] if value or name not in _OPTIONS else value


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

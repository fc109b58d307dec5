"""One step over gathered tensors: counts it, dispatches each part, and applies GradScaler's scale and overflow flag."""

import torch
from torch import Tensor

from bakeoff.optim import _replicas
from bakeoff.optim._algorithm import Algorithm, Kernel, ListUpdate
from bakeoff.optim._dispatch import Implementation, dispatch
from bakeoff.optim._state import add_one
from bakeoff.optim._tensors import Group, Tensors, in_single, is_half

_BLOCK = 2**18  # elements; what lies between operations on lists then stays in the CPU's cache


def take_step(
    algorithm: Algorithm, tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None
) -> None:
    """Move parameters and state along the gradients over `grad_scale`, unless `found_inf` is not 0."""
    if isinstance(group["lr"], Tensor) and group["lr"].dim() > 0:
        group = {**group, "lr": group["lr"].squeeze()}
    for implementation, part, kernel in dispatch(algorithm, tensors, group):
        if part.steps:
            add_one(part.steps)
        if grad_scale is not None:
            grad_scale = grad_scale.to(part.params[0].device, non_blocking=True)
        if kernel is not None and part.on_cuda:
            _step_on_cuda(part, group, kernel, grad_scale, found_inf)
            continue
        if found_inf is not None and found_inf.item():
            if part.steps:
                torch._foreach_sub_(part.steps, 1)
            continue
        for slices, own in _replicas.each(part, group):
            if kernel is not None:
                kernel(slices, own, grad_scale, None)
                continue
            if grad_scale is not None:
                for grad in slices.grads:
                    grad.div_(grad_scale)
            if implementation is Implementation.FOREACH and algorithm._foreach_step is not None:
                in_cache = not part.on_cuda and not torch.compiler.is_compiling()
                for block in slices.blocks(_BLOCK) if in_cache else [slices]:
                    _step_on_lists(algorithm._foreach_step, block, own)
            else:
                algorithm._definition_step(slices, own)


def _step_on_lists(update: ListUpdate, tensors: Tensors, group: Group) -> None:
    """Half precision is updated in single, and rounded once, when it is stored, as by the definition."""
    if not any(map(is_half, tensors.params)):
        update(tensors, group)
        return
    single = tensors.with_lists([list(map(in_single, of_kind)) for of_kind in tensors.lists()])
    update(single, group)
    torch._foreach_copy_(tensors.params, single.params)
    for name, stored in tensors.averages.items():
        torch._foreach_copy_(stored, single.averages[name])


def _step_on_cuda(
    part: Tensors, group: Group, kernel: Kernel, grad_scale: Tensor | None, found_inf: Tensor | None
) -> None:
    """Take the step without asking the GPU whether it overflowed."""
    device, lr = part.params[0].device, group["lr"]
    if isinstance(lr, Tensor) and lr.device != device:
        group = {**group, "lr": lr.item() if lr.is_cpu else lr.to(device)}
    if found_inf is not None:
        found_inf = found_inf.to(device, non_blocking=True)
    kernel(part, group, grad_scale, found_inf)
    if part.steps and found_inf is not None:
        torch._foreach_sub_(part.steps, [found_inf.to(part.steps[0].device)] * len(part))

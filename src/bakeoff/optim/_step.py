"""One step over gathered tensors: count it, send each part its way, and heed GradScaler's scale and overflow."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.optim import _replicas
from bakeoff.optim._state import add_one
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._trial import Kernel
from bakeoff.optim._ways import Way, plan

if TYPE_CHECKING:
    from bakeoff.optim._optimizer import UpdateOptimizer


def take_step(
    optimizer: "UpdateOptimizer", tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None
) -> None:
    """Move parameters and state along the gradients over `grad_scale`, unless `found_inf` is not 0."""
    if isinstance(group["lr"], Tensor) and group["lr"].dim() > 0:
        group = {**group, "lr": group["lr"].squeeze()}
    for way, part, kernel in plan(optimizer, tensors, group):
        if part.steps:
            add_one(part.steps)
        if grad_scale is not None:
            grad_scale = grad_scale.to(part.params[0].device, non_blocking=True)
        if kernel is not None and part.on_cuda:
            _take_on_cuda(part, group, kernel, grad_scale, found_inf)
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
            (optimizer._foreach if way is Way.FOREACH else optimizer._define)(slices, own)


def _take_on_cuda(
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

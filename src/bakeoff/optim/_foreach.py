"""The updates as operations on lists: each line of a definition once for all tensors, as torch's foreach does.

Each operation reads and writes memory, so fused kernels are faster where there are some. Temporaries are as large as
the tensors given: `_step` gives those of a CPU in blocks, and half precision as single: each operation rounds, and the
square of 256 is too large for float16.
"""

import torch
from torch import Tensor

from bakeoff.optim._tensors import Group, TensorList, Tensors


def sgd(tensors: Tensors, group: Group) -> None:
    """`sgd.sgd_update` on lists."""
    params, lr, momentum = tensors.params, group["lr"], group["momentum"]
    grads = _gradient(tensors, group)
    if momentum != 0:
        buffers = tensors.averages["momentum_buffer"]
        if tensors.first:
            torch._foreach_copy_(buffers, grads)
        else:
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(buffers, grads, alpha=1 - group["dampening"])
        grads = torch._foreach_add(grads, buffers, alpha=momentum) if group["nesterov"] else buffers
    _descend(params, grads, lr)


def rmsprop(tensors: Tensors, group: Group) -> None:
    """`rmsprop.rmsprop_update` on lists."""
    alpha, momentum = group["alpha"], group["momentum"]
    grads, v = _gradient(tensors, group), tensors.averages["square_avg"]
    torch._foreach_mul_(v, alpha)
    torch._foreach_addcmul_(v, grads, grads, value=1 - alpha)
    if group["centered"]:
        m = tensors.averages["grad_avg"]
        torch._foreach_lerp_(m, grads, 1 - alpha)
        root = torch._foreach_addcmul(v, m, m, value=-1)
        torch._foreach_clamp_min_(root, 0)
        torch._foreach_sqrt_(root)
    else:
        root = torch._foreach_sqrt(v)
    torch._foreach_add_(root, group["eps"])
    if momentum == 0:
        if isinstance(group["lr"], Tensor):
            torch._foreach_mul_(root, -1 / group["lr"])
            torch._foreach_addcdiv_(tensors.params, grads, root)
        else:
            torch._foreach_addcdiv_(tensors.params, grads, root, value=-group["lr"])
        return
    b = tensors.averages["momentum_buffer"]
    torch._foreach_mul_(b, momentum)
    torch._foreach_addcdiv_(b, grads, root)
    _descend(tensors.params, b, group["lr"])


def adam(tensors: Tensors, group: Group) -> None:
    """`adam.adam_update` on lists."""
    lr, (beta1, beta2) = group["lr"], group["betas"]
    grads = _gradient(tensors, group, decays=not group["decoupled_weight_decay"])
    if group["decoupled_weight_decay"] and group["weight_decay"] != 0:
        torch._foreach_mul_(tensors.params, 1 - lr * group["weight_decay"])
    m, v = tensors.averages["exp_avg"], tensors.averages["exp_avg_sq"]
    _average(m, grads, beta1)
    torch._foreach_mul_(v, beta2)
    if isinstance(beta2, Tensor):
        torch._foreach_addcmul_(v, torch._foreach_mul(grads, 1 - beta2), grads)
    else:
        torch._foreach_addcmul_(v, grads, grads, value=1 - beta2)  # not lerp, which makes NaN of an infinite v
    if group["amsgrad"]:
        v_max = tensors.averages["max_exp_avg_sq"]
        torch._foreach_maximum_(v_max, v)
        v = v_max
    if group["capturable"] or torch.compiler.is_compiling():
        steps = [step.double() for step in tensors.steps]
        sizes = [lr / (1 - beta1**t) for t in steps]
        roots = [(1 - beta2**t).sqrt() for t in steps]
    else:
        counts = [step.item() for step in tensors.steps]
        sizes = [lr / (1 - beta1**t) for t in counts]
        roots = [(1 - beta2**t) ** 0.5 for t in counts]
    # √v̂_t + ε, then over -γ / (1 - β₁^t)
    root = torch._foreach_sqrt(v)
    torch._foreach_div_(root, roots)
    torch._foreach_add_(root, group["eps"])
    torch._foreach_div_(root, [-size for size in sizes])
    torch._foreach_addcdiv_(tensors.params, m, root)


def _gradient(tensors: Tensors, group: Group, decays: bool = True) -> TensorList:
    """-g to maximize, + λ θ to decay."""
    grads: TensorList = torch._foreach_neg(tensors.grads) if group["maximize"] else tensors.grads
    if decays and group["weight_decay"] != 0:
        grads = torch._foreach_add(grads, tensors.params, alpha=group["weight_decay"])
    return grads


def _average(averages: list[Tensor], values: TensorList, beta: float | Tensor) -> None:
    if isinstance(beta, Tensor):
        torch._foreach_mul_(averages, beta)
        torch._foreach_add_(averages, torch._foreach_mul(values, 1 - beta))
    else:
        torch._foreach_lerp_(averages, values, 1 - beta)


def _descend(params: list[Tensor], directions: TensorList, lr: float | Tensor) -> None:
    if isinstance(lr, Tensor):
        torch._foreach_sub_(params, torch._foreach_mul(directions, lr))
    else:
        torch._foreach_add_(params, directions, alpha=-lr)

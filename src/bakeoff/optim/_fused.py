"""Kernels that read and write each tensor once: torch's private fused operators, and what can be made of them.

On the CPU, RMSprop without momentum is Adam with β₁ = 0 at a step so late that the bias corrections are 1:

    m_t = 0 m_{t-1} + 1 g_t = g_t,   θ_t = θ_{t-1} - γ (g_t / 1) / (√(v_t / 1) + ε)

and m, which nobody keeps, needs no memory: the kernel reads θ, writes m and, last, writes θ, so m may lie where θ
does. On CUDA, RMSprop and all replicas have kernels of our own (`_triton`). None of this is promised by torch:
`_ways` compares every kernel with the definition before it is taken.
"""

from typing import Any

import torch
from torch import Tensor

from bakeoff.optim import _foreach, _replicas
from bakeoff.optim._tensors import Group, TensorList, Tensors, flat

# β^t = 0 for every β < 1 that a float32 can tell from 1, and t fits the kernel's 64-bit integer
_LATE = torch.tensor(2.0**62, dtype=torch.float32, device="cpu")
# β₂ of a v that is to stay as it is: the largest double below 1, for which β₂^t is still 0
_ALMOST_ONE = 1 - 2.0**-53
_BLOCK = 2**18  # elements; a block of RMSprop's five float32 tensors is 5 MB, within the reach of a shared cache
_SMALL = 2**12  # elements that are cleared faster than cut off
_LINE = 64  # bytes; the widest vector of a kernel


def sgd(tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
    """`sgd.sgd_update` by `torch._fused_sgd_`; replicas on CUDA by Triton."""
    buffers = tensors.averages.get("momentum_buffer", [])
    flags: dict[str, Any] = {"nesterov": group["nesterov"], "maximize": group["maximize"]}
    scaling: dict[str, Any] = {"grad_scale": grad_scale, "found_inf": found_inf}
    if tensors.on_cuda and _replicas.count(group):
        from bakeoff.optim import _triton

        values = _replicas.values(group, "lr", "momentum", "weight_decay")
        options = {"dampening": group["dampening"], "first_step": tensors.first, **flags, **scaling}
        _triton.sgd_(tensors.params, tensors.grads, buffers, **values, **options)
        return
    torch._fused_sgd_(
        tensors.params,
        tensors.grads,
        buffers if group["momentum"] != 0 else [],
        lr=group["lr"],
        momentum=group["momentum"],
        dampening=group["dampening"],
        weight_decay=float(group["weight_decay"]),
        is_first_step=tensors.first,
        **flags,
        **scaling,
    )


def adam(tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
    """`adam.adam_update` by `torch._fused_adam_` and `torch._fused_adamw_`; replicas on CUDA by Triton."""
    m, v, *v_max = tensors.averages.values()
    lists: list[Any] = [tensors.params, tensors.grads, m, v, v_max[0] if v_max else [], _beside(tensors)]
    decoupled, maximize = group["decoupled_weight_decay"], group["maximize"]
    scaling: dict[str, Any] = {"grad_scale": grad_scale, "found_inf": found_inf}
    if tensors.on_cuda and _replicas.count(group):
        from bakeoff.optim import _triton

        values = _replicas.values(group, "lr", "betas", "eps", "weight_decay")
        values["beta1"], values["beta2"] = zip(*values.pop("betas"), strict=True)
        scaling |= {"maximize": maximize, "decoupled_weight_decay": decoupled}
        _triton.adam_(*lists, **values, **scaling)  # type: ignore[misc]
        return
    (torch._fused_adamw_ if decoupled else torch._fused_adam_)(
        *lists,
        lr=group["lr"],
        beta1=float(group["betas"][0]),
        beta2=float(group["betas"][1]),
        eps=group["eps"],
        weight_decay=group["weight_decay"],
        amsgrad=group["amsgrad"],
        maximize=maximize,
        **scaling,
    )


def rmsprop(tensors: Tensors, group: Group, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
    """`rmsprop.rmsprop_update`: on CUDA by Triton, on the CPU as a late Adam or in blocks."""
    if tensors.on_cuda:
        from bakeoff.optim import _triton

        v, m, b = (tensors.averages.get(name, []) for name in ("square_avg", "grad_avg", "momentum_buffer"))
        values = _replicas.values(group, "lr", "alpha", "eps", "weight_decay", "momentum")
        options = {"maximize": group["maximize"], "grad_scale": grad_scale, "found_inf": found_inf}
        _triton.rmsprop_(tensors.params, tensors.grads, v, m, b, **values, **options)
        return
    if grad_scale is not None:
        for grad in tensors.grads:
            grad.div_(grad_scale)
    if group["centered"] or group["momentum"] != 0:
        for block in tensors.blocks(_BLOCK):
            _rmsprop_block(block, group)
    else:
        _late_adam(tensors.params, tensors.grads, tensors.averages["square_avg"], group, beta2=group["alpha"])


def _rmsprop_block(tensors: Tensors, group: Group) -> None:
    """What lies between the passes stays in the cache."""
    variance: TensorList = tensors.averages["square_avg"]
    alpha = group["alpha"]
    if group["centered"]:
        variance, alpha = _variance(tensors, group), _ALMOST_ONE
    if group["momentum"] == 0:
        _late_adam(tensors.params, tensors.grads, variance, group, beta2=alpha)
        return
    # AdamW at a learning rate of -1 moves b from a decayed b:  b <- μ b + g / (√v + ε),  θ <- θ - γ b
    b, grads = tensors.averages["momentum_buffer"], _foreach.gradient(tensors, group)
    decayed = {**group, "lr": -1.0, "weight_decay": group["momentum"] - 1, "maximize": False}
    _late_adam(b, grads, variance, decayed, beta2=alpha, decoupled=True)
    torch._foreach_add_(tensors.params, b, alpha=-float(group["lr"]))


def _variance(tensors: Tensors, group: Group) -> TensorList:
    """Move v and m, as Adam with β₁ = β₂ = α does, which leaves θ at a learning rate of 0; return v - m²."""
    v, m = tensors.averages["square_avg"], tensors.averages["grad_avg"]
    torch._fused_adam_(
        tensors.params,
        tensors.grads,
        m,
        v,
        [],
        [_LATE] * len(tensors),
        lr=0.0,
        beta1=group["alpha"],
        beta2=group["alpha"],
        eps=1.0,
        weight_decay=group["weight_decay"],
        maximize=group["maximize"],
        amsgrad=False,
    )
    return torch._foreach_addcmul(v, m, m, value=-1)


def _late_adam(
    targets: TensorList, grads: TensorList, v: TensorList, group: Group, *, beta2: float, decoupled: bool = False
) -> None:
    """Move each target θ by -γ g / (√v + ε), after v by β₂."""
    moments: TensorList = targets
    if any(target.nbytes % _LINE for target in targets):
        targets, grads, v, moments = _with_tails_apart(targets, grads, v)
    (torch._fused_adamw_ if decoupled else torch._fused_adam_)(
        targets,
        grads,
        moments,
        v,
        [],
        [_LATE] * len(targets),
        lr=float(group["lr"]),
        beta1=0.0,
        beta2=beta2,
        eps=group["eps"],
        weight_decay=group["weight_decay"],
        maximize=group["maximize"],
        amsgrad=False,
    )


def _with_tails_apart(targets: TensorList, grads: TensorList, v: TensorList) -> tuple[list[Tensor], ...]:
    """Targets, gradients, v and the memory for m: a small one's own, where whole vectors do not cover the target.

    The few elements after the last whole vector are taken one by one, and there θ is read again after m is written.
    """
    apart: list[tuple[Tensor, ...]] = []
    for tensors in zip(targets, grads, v, strict=True):
        target = tensors[0]
        tail = target.nbytes % _LINE // target.element_size()
        whole = target.numel() - tail
        if not tail:
            apart.append((*tensors, target))
        elif whole < _SMALL:
            apart.append((*tensors, torch.zeros_like(target)))
        else:
            (head, g, v_head), rest = zip(*(flat(tensor).split([whole, tail]) for tensor in tensors), strict=True)
            apart += [(head, g, v_head, head), (*rest, torch.zeros_like(rest[0]))]
    return tuple(list(of_kind) for of_kind in zip(*apart, strict=True))


def _beside(tensors: Tensors) -> list[Tensor]:
    """Step counts where and as the kernel reads them; a copy, one for all that count alike, if from elsewhere."""
    device = tensors.params[0].device
    if tensors.steps[0].device == device:
        return [step.float() for step in tensors.steps] if tensors.on_cuda else tensors.steps
    counts = [step.item() for step in tensors.steps]
    copies = {count: torch.full((), count, dtype=torch.float32, device=device) for count in set(counts)}
    return [copies[count] for count in counts]

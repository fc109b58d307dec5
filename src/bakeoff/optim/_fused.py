"""Kernels that read and write each tensor once: torch's private fused operators, and on CUDA our own (`_triton`).

Torch promises none of its private operators: `_verify` compares every kernel with the definition before its first use.
"""

from typing import Any

import torch
from torch import Tensor

from bakeoff.optim import _replicas
from bakeoff.optim._tensors import Group, Tensors


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
    steps = _steps_on_device(tensors)
    lists: list[Any] = [tensors.params, tensors.grads, m, v, v_max[0] if v_max else [], steps]
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
    """`rmsprop.rmsprop_update` on CUDA, by Triton: torch has no fused RMSprop."""
    from bakeoff.optim import _triton

    v, m, b = (tensors.averages.get(name, []) for name in ("square_avg", "grad_avg", "momentum_buffer"))
    values = _replicas.values(group, "lr", "alpha", "eps", "weight_decay", "momentum")
    options = {"maximize": group["maximize"], "grad_scale": grad_scale, "found_inf": found_inf}
    _triton.rmsprop_(tensors.params, tensors.grads, v, m, b, **values, **options)


def _steps_on_device(tensors: Tensors) -> list[Tensor]:
    """Step counts on the device and of the dtype that the kernel reads; a copy for each number if made here."""
    device = tensors.params[0].device
    if tensors.steps[0].device == device:
        return [step.float() for step in tensors.steps] if tensors.on_cuda else tensors.steps
    counts = [step.item() for step in tensors.steps]
    copies = {count: torch.full((), count, dtype=torch.float32, device=device) for count in set(counts)}
    return [copies[count] for count in counts]

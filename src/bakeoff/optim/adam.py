"""Adam and AdamW: each weight follows its mean gradient, divided by the root of the mean of its square.

    g_t = ∇f_t(θ_{t-1}) + λ θ_{t-1}
    m_t = β₁ m_{t-1} + (1 - β₁) g_t,   m̂_t = m_t / (1 - β₁^t)
    v_t = β₂ v_{t-1} + (1 - β₂) g_t²,  v̂_t = v_t / (1 - β₂^t)        AMSGrad: max(v_1, ..., v_t) / (1 - β₂^t)
    θ_t = θ_{t-1} - γ m̂_t / (√v̂_t + ε)

γ lr, (β₁, β₂) betas, ε eps, λ weight_decay; m and v start at zero, a bias that the hats correct. AdamW keeps
λ out of the moments: it leaves g_t alone and first shrinks θ_{t-1} by the factor 1 - γ λ.

Adam: Kingma & Ba 2015, Algorithm 1. AMSGrad: Reddi, Kale & Kumar 2018, Algorithm 2, which has no bias
correction; torch keeps Adam's, and so do we. AdamW: Loshchilov & Hutter 2019, Algorithm 2, where the schedule
alone scales λ; in torch and here the whole of γ does.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim import _foreach, _fused
from bakeoff.optim._bounds import check_at_least_zero, check_below_one
from bakeoff.optim._optimizer import UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._tensors import Group, Tensors, before_step, in_single
from bakeoff.optim._trial import Kernel

Betas = tuple[float | Tensor, float | Tensor]


def adam_update(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    v_max: Tensor | None = None,
    *,
    t: float | Tensor,
    lr: float | Tensor,
    betas: Betas,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """One step: (θ, m, v, v_max) at t, counted from 1, from the same at t - 1. Given v_max it is AMSGrad."""
    beta1, beta2 = betas
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to climb
    g = -grad if maximize else grad
    if decoupled_weight_decay:
        # θ_{t-1} <- θ_{t-1} - γ λ θ_{t-1}
        param = param * (1 - lr * weight_decay)
    elif weight_decay != 0:
        # g_t <- g_t + λ θ_{t-1}
        g = g + weight_decay * param
    # m_t = β₁ m_{t-1} + (1 - β₁) g_t
    m = beta1 * m + (1 - beta1) * g
    # v_t = β₂ v_{t-1} + (1 - β₂) g_t²
    v = v_hat = beta2 * v + (1 - beta2) * g**2
    if v_max is not None:
        # v_max_t = max(v_max_{t-1}, v_t)
        v_max = v_hat = v_max.maximum(v)
    # m̂_t = m_t / (1 - β₁^t)
    m_hat = m / (1 - beta1**t)
    # v̂_t = v_t / (1 - β₂^t)
    v_hat = v_hat / (1 - beta2**t)
    # θ_t = θ_{t-1} - γ m̂_t / (√v̂_t + ε)
    return param - lr * m_hat / (v_hat.sqrt() + eps), m, v, v_max


class Adam(UpdateOptimizer):
    """Adam with the arguments, defaults and state keys of `torch.optim.Adam`.

    The state's `exp_avg` is m, `exp_avg_sq` is v and `max_exp_avg_sq` is v_max. With `replicas`, `lr`, `betas`,
    `eps` and `weight_decay` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops moving once its
    step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    refuses_sparse = "Adam does not support sparse gradients, please consider SparseAdam instead"
    _may_differ = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        replicas: Replicas | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults, replicas)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group as torch does, its own hyperparameters checked like the defaults."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["betas"] = tuple(b.squeeze() if isinstance(b, Tensor) and b.dim() > 0 else b for b in group["betas"])

    def _check(self, group: Group) -> None:
        super()._check(group)
        check_at_least_zero(group, "eps", "weight_decay")
        _check_betas(group)
        for name, value in (("lr", group["lr"]), ("betas[0]", group["betas"][0]), ("betas[1]", group["betas"][1])):
            if isinstance(value, Tensor) and group["foreach"] and not group["capturable"]:
                raise ValueError(
                    f"{name} as a Tensor is not supported for capturable=False and foreach=True. "
                    "Give a number, or leave foreach out"
                )

    def _averages(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def _define(self, tensors: Tensors, group: Group) -> None:
        options = {name: group[name] for name in _OPTIONS}
        for i, (param, grad, step) in enumerate(zip(tensors.params, tensors.grads, tensors.steps, strict=True)):
            averages = [of_all[i] for of_all in tensors.averages.values()]
            theta, *old = (before_step(tensor, group) for tensor in (param, *averages))
            t = step.double() if group["capturable"] or torch.compiler.is_compiling() else step.item()
            new = adam_update(theta, in_single(grad), *old, t=t, **options)
            for tensor, value in zip((param, *averages), new, strict=False):
                if value is not None:
                    tensor.copy_(value)

    def _foreach(self, tensors: Tensors, group: Group) -> None:
        _foreach.adam(tensors, group)

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        return (_fused.adam,)


_OPTIONS = ("lr", "betas", "eps", "weight_decay", "maximize", "decoupled_weight_decay")


def _check_betas(group: Group) -> None:
    betas = group["betas"]
    if len(betas) != 2:
        raise ValueError(f"betas must be two values in [0, 1), got {tuple(betas)}")
    if len({isinstance(beta, Tensor) for beta in betas}) > 1:
        raise ValueError(f"betas must be either both floats or both Tensors. Got {betas}")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element. It has {beta.numel()}")
        check_below_one(f"betas[{i}]", beta, f"Invalid beta parameter at index {i}")


class AdamW(Adam):
    """Adam with decoupled weight decay; arguments, defaults and state keys are `torch.optim.AdamW`'s."""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            replicas=replicas,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a state dict saved by Adam would otherwise turn this into Adam
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True

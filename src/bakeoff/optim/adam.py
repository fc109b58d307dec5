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

from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim import _foreach, _fused
from bakeoff.optim._algorithm import Kernel
from bakeoff.optim._optimizer import Averages, UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._state import count
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._validation import check_at_least_zero, check_below_one

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
    """One step: (θ, m, v, v_max) at t, counted from 1, from the same at t - 1. Given v_max it is AMSGrad.

    Tensors have one shape; m, v and v_max are zero before the first step. Writes to no argument. Kingma & Ba 2015,
    Algorithm 1; with `decoupled_weight_decay` Loshchilov & Hutter 2019, Algorithm 2.

    >>> import torch
    >>> weight, gradient, zero = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([0.0])
    >>> weight, m, v, _ = adam_update(weight, gradient, zero, zero, t=1, lr=0.25, betas=(0.5, 0.75), eps=0.0)
    >>> weight, m, v  # m = 0.5 * 2 and v = 0.25 * 2², corrected to 2 and 2²
    (tensor([0.7500]), tensor([1.]), tensor([1.]))
    """
    beta1, beta2 = betas
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to maximize
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
    `eps` and `weight_decay` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops changing once its
    step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> optimizer = Adam([weight], lr=0.25)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.data  # the first step has length lr, whatever the gradient
    tensor([ 0.7500, -1.7500])
    """

    _sparse_error = "Adam does not support sparse gradients, please consider SparseAdam instead"
    _foreach_step = staticmethod(_foreach.adam)
    _per_replica = ("lr", "betas", "eps", "weight_decay")

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
        """Add a group as torch does. Raises ValueError if one of its own hyperparameters is out of bounds."""
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

    def _update(
        self, param: Tensor, grad: Tensor, averages: Averages, group: Group, step: Tensor
    ) -> tuple[Tensor, Averages]:
        options = {name: group[name] for name in _OPTIONS}
        m, v, v_max = averages["exp_avg"], averages["exp_avg_sq"], averages.get("max_exp_avg_sq")
        param, m, v, v_max = adam_update(param, grad, m, v, v_max, t=count(step, group), **options)
        new = {"exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": v_max}
        return param, {name: value for name, value in new.items() if value is not None}

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
    """Adam with decoupled weight decay; arguments, defaults and state keys are `torch.optim.AdamW`'s.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> optimizer = AdamW([weight], lr=0.25, weight_decay=0.5)
    >>> weight.grad = torch.zeros_like(weight)
    >>> optimizer.step()
    >>> weight.data  # without a gradient the decay alone, a factor of 1 - 0.25 * 0.5
    tensor([ 0.8750, -1.7500])
    """

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

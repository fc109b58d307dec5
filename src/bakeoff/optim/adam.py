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

from bakeoff.optim._optimizer import Group, PerParameterOptimizer, check_at_least_zero, from_zero, next_step


def adam_update(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    v_max: Tensor | None = None,
    *,
    t: float,
    lr: float,
    betas: tuple[float, float],
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
        param = param.mul(1 - lr * weight_decay)
    elif weight_decay != 0:
        # g_t <- g_t + λ θ_{t-1}
        g = g.add(param, alpha=weight_decay)
    # m_t = β₁ m_{t-1} + (1 - β₁) g_t
    m = m.lerp(g, 1 - beta1)
    # v_t = β₂ v_{t-1} + (1 - β₂) g_t²
    v = v_hat = v.mul(beta2).addcmul_(g, g, value=1 - beta2)
    if v_max is not None:
        # v_max_t = max(v_max_{t-1}, v_t)
        v_max = v_hat = v_max.maximum(v)
    # √v̂_t + ε,  v̂_t = v_t / (1 - β₂^t)
    root = v_hat.sqrt().div_((1 - beta2**t) ** 0.5).add_(eps)
    # θ_t = θ_{t-1} - γ m̂_t / (√v̂_t + ε),  m̂_t = m_t / (1 - β₁^t)
    return param.addcdiv(m, root, value=-lr / (1 - beta1**t)), m, v, v_max


class Adam(PerParameterOptimizer):
    """Adam with the arguments, defaults and state keys of `torch.optim.Adam`.

    The state's `exp_avg` is m, `exp_avg_sq` is v and `max_exp_avg_sq` is v_max. A bf16 parameter stops moving
    once its step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        check_at_least_zero(group, "lr", "eps", "weight_decay")
        betas = group["betas"]
        if not (len(betas) == 2 and all(0 <= beta < 1 for beta in betas)):
            raise ValueError(f"betas must be two values in [0, 1), got {betas}")

    def _update(self, param: Tensor, grad: Tensor, group: Group) -> None:
        state = self.state[param]
        step = next_step(state)
        new_param, m, v, v_max = adam_update(
            param,
            grad,
            from_zero(state, "exp_avg", param),
            from_zero(state, "exp_avg_sq", param),
            from_zero(state, "max_exp_avg_sq", param) if group["amsgrad"] else None,
            t=float(step),
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
        )
        param.copy_(new_param)
        state["step"] = step
        state["exp_avg"] = m
        state["exp_avg_sq"] = v
        if v_max is not None:
            state["max_exp_avg_sq"] = v_max


class AdamW(Adam):
    """Adam with decoupled weight decay; arguments, defaults and state keys are `torch.optim.AdamW`'s."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a state dict saved by Adam would otherwise turn this into Adam
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True

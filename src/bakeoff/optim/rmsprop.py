"""RMSprop: each weight's gradient is divided by the root of a running mean of its square.

    g_t = ∇f_t(θ_{t-1}) + λ θ_{t-1}
    v_t = α v_{t-1} + (1 - α) g_t²
    m_t = α m_{t-1} + (1 - α) g_t                centered: the variance v_t - m_t² stands for v_t below
    b_t = μ b_{t-1} + g_t / (√v_t + ε)
    θ_t = θ_{t-1} - γ b_t

γ lr, α alpha, ε eps, λ weight_decay, μ momentum; v, m and b start at zero, and nothing corrects that bias.

Hinton 2012, "Neural networks for machine learning", lecture 6e; centered and with momentum: Graves 2013,
"Generating sequences with recurrent neural networks", equations (38)-(41). Two departures from Graves, both
torch's: ε stands outside the root, and γ outside the buffer b.
"""

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim import _foreach, _fused, _native, _replicas
from bakeoff.optim._bounds import check_at_least_zero, check_below_one
from bakeoff.optim._optimizer import UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._tensors import Group, Tensors, before_step, in_single
from bakeoff.optim._trial import Kernel


def rmsprop_update(
    param: Tensor,
    grad: Tensor,
    v: Tensor,
    m: Tensor | None = None,
    b: Tensor | None = None,
    *,
    lr: float | Tensor,
    alpha: float,
    eps: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """One step: (θ, v, m, b) at t from the same at t - 1. Given m it is centered; given b, with momentum."""
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to climb
    g = -grad if maximize else grad
    # g_t <- g_t + λ θ_{t-1}
    if weight_decay != 0:
        g = g + weight_decay * param
    # v_t = α v_{t-1} + (1 - α) g_t²
    v = variance = alpha * v + (1 - alpha) * g**2
    if m is not None:
        # m_t = α m_{t-1} + (1 - α) g_t
        m = m.lerp(g, 1 - alpha)
        # v_t - m_t²
        variance = v - m**2
    # g_t / (√v_t + ε)
    step = g / (variance.sqrt() + eps)
    if b is not None:
        # b_t = μ b_{t-1} + g_t / (√v_t + ε)
        step = b = momentum * b + step
    # θ_t = θ_{t-1} - γ b_t
    return param - lr * step, v, m, b


class RMSprop(UpdateOptimizer):
    """RMSprop with the arguments, defaults and state keys of `torch.optim.RMSprop`, and `fused`, which that lacks.

    The state's `square_avg` is v, `grad_avg` is m and `momentum_buffer` is b. With `replicas`, `lr`, `alpha`,
    `eps`, `weight_decay` and `momentum` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops moving
    once its step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    refuses_sparse = "RMSprop does not support sparse gradients"
    _may_differ = ("lr", "alpha", "eps", "weight_decay", "momentum")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        fused: bool | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults, replicas)

    def _check(self, group: Group) -> None:
        super()._check(group)
        check_at_least_zero(group, "eps", "momentum", "weight_decay")
        check_below_one("alpha", group["alpha"], "Invalid alpha value")

    def _averages(self, group: Group) -> tuple[str, ...]:
        momentum = group["momentum"] or any((group.get("replicas") or {}).get("momentum", ()))
        used = {"square_avg": True, "momentum_buffer": momentum, "grad_avg": group["centered"]}
        return tuple(name for name, is_used in used.items() if is_used)

    def _define(self, tensors: Tensors, group: Group) -> None:
        options = {name: group[name] for name in _OPTIONS}
        for i, (param, grad) in enumerate(zip(tensors.params, tensors.grads, strict=True)):
            state = {name: averages[i] for name, averages in tensors.averages.items()}
            v, m, b = state["square_avg"], state.get("grad_avg"), state.get("momentum_buffer")
            b = b if group["momentum"] != 0 else None  # a replica without, among others with
            theta, old_v = before_step(param, group), before_step(v, group)
            old_m, old_b = (None if x is None else before_step(x, group) for x in (m, b))
            new = rmsprop_update(theta, in_single(grad), old_v, old_m, old_b, **options)
            for old, value in zip((param, v, m, b), new, strict=True):
                if old is not None and value is not None:
                    old.copy_(value)

    def _foreach(self, tensors: Tensors, group: Group) -> None:
        _foreach.rmsprop(tensors, group)

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        if tensors.on_cuda or tensors.params[0].dtype not in (torch.float32, torch.float64):
            return (_fused.rmsprop,)
        # of one replica, which is to go as it would alone
        elements = sum(map(Tensor.numel, tensors.params)) // (_replicas.count(group) or 1)
        is_large = elements >= _native.WORTH_COMPILING
        return (_native.rmsprop, _fused.rmsprop) if is_large else (_fused.rmsprop,)


_OPTIONS = ("lr", "alpha", "eps", "weight_decay", "momentum", "maximize")

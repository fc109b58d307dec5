"""RMSprop: each weight's gradient is divided by the root of a running mean of its square.

    g_t = ∇f_t(θ_{t-1}) + λ θ_{t-1}
    v_t = α v_{t-1} + (1 - α) g_t²
    m_t = α m_{t-1} + (1 - α) g_t                centered: the variance max(v_t - m_t², 0) replaces v_t below
    b_t = μ b_{t-1} + g_t / (√v_t + ε)
    θ_t = θ_{t-1} - γ b_t

γ lr, α alpha, ε eps, λ weight_decay, μ momentum; v, m and b start at zero, and nothing corrects that bias.

Hinton 2012, "Neural networks for machine learning", lecture 6e; centered and with momentum: Graves 2013,
"Generating sequences with recurrent neural networks", equations (38)-(41). Two departures from Graves, both
torch's: ε is outside the root, and γ outside the buffer b. One that torch lacks: the variance is cut off at 0, below
which it falls by rounding where the gradient hardly changes, and its root would be NaN.
"""

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim import _foreach, _fused, _native
from bakeoff.optim._algorithm import Kernel
from bakeoff.optim._optimizer import Averages, UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._tensors import Group, Tensors
from bakeoff.optim._validation import check_at_least_zero, check_below_one


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
    """One step: (θ, v, m, b) at t from the same at t - 1. Given m it is centered; given b, with momentum.

    Tensors have one shape; v, m and b are zero before the first step. Writes to no argument. Hinton 2012, lecture 6e;
    Graves 2013, equations (38)-(41).

    >>> import torch
    >>> weight, gradient, v = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([0.0])
    >>> weight, v, _, _ = rmsprop_update(weight, gradient, v, lr=0.25, alpha=0.75, eps=0.0)
    >>> weight, v  # v = 0.25 * 2², and the weight moves by 0.25 * 2 / √1
    (tensor([0.5000]), tensor([1.]))
    """
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to maximize
    g = -grad if maximize else grad
    # g_t <- g_t + λ θ_{t-1}
    if weight_decay != 0:
        g = g + weight_decay * param
    # v_t = α v_{t-1} + (1 - α) g_t²
    v = variance = alpha * v + (1 - alpha) * g**2
    if m is not None:
        # m_t = α m_{t-1} + (1 - α) g_t
        m = m.lerp(g, 1 - alpha)
        # max(v_t - m_t², 0): never below 0 but by rounding
        variance = (v - m**2).clamp(min=0)
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
    `eps`, `weight_decay` and `momentum` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops changing
    once its step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> optimizer = RMSprop([weight], lr=0.25, alpha=0.75, eps=0.0)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.data  # the first step has one length, lr / √(1 - alpha), whatever the gradient
    tensor([ 0.5000, -1.5000])
    """

    _sparse_error = "RMSprop does not support sparse gradients"
    _foreach_step = staticmethod(_foreach.rmsprop)
    _per_replica = ("lr", "alpha", "eps", "weight_decay", "momentum")

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

    def _update(
        self, param: Tensor, grad: Tensor, averages: Averages, group: Group, step: Tensor
    ) -> tuple[Tensor, Averages]:
        options = {name: group[name] for name in _OPTIONS}
        v, m = averages["square_avg"], averages.get("grad_avg")
        # a replica without momentum beside others that have it
        b = averages.get("momentum_buffer") if group["momentum"] != 0 else None
        param, v, m, b = rmsprop_update(param, grad, v, m, b, **options)
        new = {"square_avg": v, "grad_avg": m, "momentum_buffer": b}
        return param, {name: value for name, value in new.items() if value is not None}

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        if tensors.on_cuda:
            return (_fused.rmsprop,)
        return (_native.rmsprop,) if tensors.params[0].dtype in (torch.float32, torch.float64) else ()


_OPTIONS = ("lr", "alpha", "eps", "weight_decay", "momentum", "maximize")

"""Stochastic gradient descent, plain, with heavy-ball momentum or with Nesterov's.

    g_t = ∇f_t(θ_{t-1}) + λ θ_{t-1}
    b_t = μ b_{t-1} + (1 - τ) g_t,   b_1 = g_1
    θ_t = θ_{t-1} - γ g_t                        plain
    θ_t = θ_{t-1} - γ b_t                        heavy ball
    θ_t = θ_{t-1} - γ (g_t + μ b_t)              Nesterov

γ lr, μ momentum, τ dampening, λ weight_decay, b the momentum buffer.

Robbins & Monro 1951, "A stochastic approximation method"; Polyak 1964 (heavy ball); Nesterov 1983; Sutskever,
Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in deep learning", equations
(1)-(4). Two departures from Sutskever et al., both torch's: γ stays outside the buffer, which is the same
while γ is constant; and Nesterov's θ here is their look-ahead point θ + μ v, where the gradient is taken.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim import _foreach, _fused
from bakeoff.optim._bounds import check_at_least_zero
from bakeoff.optim._optimizer import UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._state import State
from bakeoff.optim._tensors import Group, Tensors, before_step, in_single
from bakeoff.optim._trial import Kernel


def sgd_direction(
    param: Tensor,
    grad: Tensor,
    b: Tensor | None = None,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float | Tensor = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The direction d_t to walk down, and b_t; b_{t-1} is None before the first step."""
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to climb
    g = -grad if maximize else grad
    # g_t <- g_t + λ θ_{t-1}
    if weight_decay != 0:
        g = g + weight_decay * param
    if momentum == 0:
        return g, b
    # b_t = μ b_{t-1} + (1 - τ) g_t,  b_1 = g_1
    b = g if b is None else momentum * b + (1 - dampening) * g
    # d_t = g_t + μ b_t  (Nesterov),  d_t = b_t  (heavy ball)
    return g + momentum * b if nesterov else b, b


def sgd_update(
    param: Tensor, grad: Tensor, b: Tensor | None = None, *, lr: float | Tensor, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """One step: θ_t and b_t from θ_{t-1} and b_{t-1}; `options` are those of `sgd_direction`."""
    d, b = sgd_direction(param, grad, b, **options)
    # θ_t = θ_{t-1} - γ d_t
    return param - lr * d, b


class SGD(UpdateOptimizer):
    """Stochastic gradient descent with the arguments, defaults and state keys of `torch.optim.SGD`.

    The state's `momentum_buffer` is b. Sparse gradients are taken. With `replicas`, `lr`, `momentum` and
    `weight_decay` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops moving once its step is
    under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    counts_steps = False
    _may_differ = ("lr", "momentum", "weight_decay")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults, replicas)

    def _check(self, group: Group) -> None:
        super()._check(group)
        check_at_least_zero(group, "momentum", "dampening", "weight_decay")
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and not (momentum > 0 and dampening == 0):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening. nesterov requires momentum > 0 and "
                f"dampening = 0, got momentum = {momentum} and dampening = {dampening}: change them or set nesterov "
                "to False"
            )

    def _averages(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if _any_momentum(group) else ()

    def _begin(self, params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> list[Tensors]:
        """Parameters whose buffer is yet to begin (b_1 = g_1) apart from those that have one."""
        begun = [i for i, state in enumerate(states) if "momentum_buffer" in state]
        beginning = [i for i in range(len(states)) if "momentum_buffer" not in states[i]]
        for i in beginning:
            states[i]["momentum_buffer"] = torch.zeros_like(grads[i] if grads[i].is_sparse else params[i])
        tensors = Tensors(params, grads, {"momentum_buffer": [state["momentum_buffer"] for state in states]}, [])
        first = replace(tensors.at(beginning), first=True)
        return [tensors.at(begun), first] if begun else [first]

    def _define(self, tensors: Tensors, group: Group) -> None:
        options = {name: group[name] for name in _DIRECTION}
        buffers = tensors.averages.get("momentum_buffer", [])
        for i, (param, grad) in enumerate(zip(tensors.params, tensors.grads, strict=True)):
            b = before_step(buffers[i], group) if buffers and not tensors.first else None
            if grad.is_sparse:
                # never a dense copy of a table of which a few rows move
                d, b = sgd_direction(param, grad, b, **options)
                param.sub_(group["lr"] * d)
            else:
                theta, b = sgd_update(before_step(param, group), in_single(grad), b, lr=group["lr"], **options)
                param.copy_(theta)
            if buffers and b is not None:
                buffers[i].copy_(b)

    def _foreach(self, tensors: Tensors, group: Group) -> None:
        _foreach.sgd(tensors, group)

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        return (_fused.sgd,)


_DIRECTION = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")


def _any_momentum(group: Group) -> bool:
    return bool(group["momentum"]) or any((group.get("replicas") or {}).get("momentum", ()))

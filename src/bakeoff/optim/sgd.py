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
from bakeoff.optim._algorithm import Kernel
from bakeoff.optim._optimizer import Averages, UpdateOptimizer
from bakeoff.optim._replicas import Replicas
from bakeoff.optim._state import State
from bakeoff.optim._tensors import Group, Tensors, before_step
from bakeoff.optim._validation import check_at_least_zero


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
    """The direction d_t, against which θ moves, and b_t; b_{t-1} is None before the first step.

    >>> import torch
    >>> sgd_direction(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([4.0]), momentum=0.5, nesterov=True)
    (tensor([4.]), tensor([4.]))
    """
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to maximize
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
    """One step: (θ, b) at t from the same at t - 1; b is None before the first step. Writes to no argument.

    `options`, all off by default: `momentum`, `dampening`, `weight_decay`, `nesterov`, `maximize`. Tensors have one
    shape. Sutskever et al. 2013, equations (1)-(4).

    >>> import torch
    >>> weight, gradient = torch.tensor([1.0]), torch.tensor([2.0])
    >>> weight, b = sgd_update(weight, gradient, lr=0.25, momentum=0.5)
    >>> weight, b
    (tensor([0.5000]), tensor([2.]))
    >>> sgd_update(weight, gradient, b, lr=0.25, momentum=0.5)  # b = 0.5 * 2 + 2
    (tensor([-0.2500]), tensor([3.]))
    """
    d, b = sgd_direction(param, grad, b, **options)
    # θ_t = θ_{t-1} - γ d_t
    return param - lr * d, b


class SGD(UpdateOptimizer):
    """Stochastic gradient descent with the arguments, defaults and state keys of `torch.optim.SGD`.

    The state's `momentum_buffer` is b. Sparse gradients are supported. With `replicas`, `lr`, `momentum` and
    `weight_decay` may differ by replica (see `bakeoff.optim`). A bf16 parameter stops changing once its step is
    under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> optimizer = SGD([weight], lr=0.25, momentum=0.5)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([ 0.5000, -1.0000])
    """

    _counts_steps = False
    _sparse_error = None
    _foreach_step = staticmethod(_foreach.sgd)
    _per_replica = ("lr", "momentum", "weight_decay")

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

    def _initialize_and_gather(
        self, params: list[Tensor], grads: list[Tensor], states: list[State], group: Group
    ) -> list[Tensors]:
        """Create the missing buffers; their parameters come separately, since b_1 = g_1."""
        old = [i for i, state in enumerate(states) if "momentum_buffer" in state]
        new = [i for i, state in enumerate(states) if "momentum_buffer" not in state]
        for i in new:
            states[i]["momentum_buffer"] = torch.zeros_like(grads[i] if grads[i].is_sparse else params[i])
        tensors = Tensors(params, grads, {"momentum_buffer": [state["momentum_buffer"] for state in states]}, [])
        first = replace(tensors.at(new), first=True)
        return [tensors.at(old), first] if old else [first]

    def _update(
        self, param: Tensor, grad: Tensor, averages: Averages, group: Group, step: Tensor
    ) -> tuple[Tensor, Averages]:
        options = {name: group[name] for name in _DIRECTION_OPTIONS}
        new_param, b = sgd_update(param, grad, averages.get("momentum_buffer"), lr=group["lr"], **options)
        return new_param, {} if b is None else {"momentum_buffer": b}

    def _definition_step(self, tensors: Tensors, group: Group) -> None:
        sparse = [i for i, grad in enumerate(tensors.grads) if grad.is_sparse]
        if not sparse:
            super()._definition_step(tensors, group)
            return
        self._sparse_step(tensors.at(sparse), group)
        super()._definition_step(tensors.at([i for i in range(len(tensors)) if i not in sparse]), group)

    def _sparse_step(self, tensors: Tensors, group: Group) -> None:
        """Without a dense copy of an embedding of which a few rows change."""
        options = {name: group[name] for name in _DIRECTION_OPTIONS}
        buffers = tensors.averages.get("momentum_buffer", [])
        for i, (param, grad) in enumerate(zip(tensors.params, tensors.grads, strict=True)):
            b = before_step(buffers[i], group) if buffers and not tensors.first else None
            d, b = sgd_direction(param, grad, b, **options)
            param.sub_(group["lr"] * d)
            if buffers and b is not None:
                buffers[i].copy_(b)

    def _kernels(self, tensors: Tensors, group: Group) -> tuple[Kernel, ...]:
        return (_fused.sgd,)


_DIRECTION_OPTIONS = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")


def _any_momentum(group: Group) -> bool:
    return bool(group["momentum"]) or any((group.get("replicas") or {}).get("momentum", ()))

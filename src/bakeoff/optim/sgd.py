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

from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim._optimizer import Group, PerParameterOptimizer, check_at_least_zero


def sgd_update(
    param: Tensor,
    grad: Tensor,
    b: Tensor | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """One step: θ_t and b_t from θ_{t-1} and b_{t-1}, which is None before the first step."""
    # g_t = ∇f_t(θ_{t-1}), or -∇f_t(θ_{t-1}) to climb
    g = -grad if maximize else grad
    # g_t <- g_t + λ θ_{t-1}
    if weight_decay != 0:
        g = g.add(param, alpha=weight_decay)
    if momentum != 0:
        # b_t = μ b_{t-1} + (1 - τ) g_t,  b_1 = g_1
        b = g.clone() if b is None else b.mul(momentum).add_(g, alpha=1 - dampening)
        # g_t <- g_t + μ b_t  (Nesterov),  g_t <- b_t  (heavy ball)
        g = g.add(b, alpha=momentum) if nesterov else b
    # θ_t = θ_{t-1} - γ g_t
    return param.add(g, alpha=-lr), b


class SGD(PerParameterOptimizer):
    """Stochastic gradient descent with the arguments, defaults and state keys of `torch.optim.SGD`.

    The state's `momentum_buffer` is b. A bf16 parameter stops moving once its step is under half its ulp.
    Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        check_at_least_zero(group, "lr", "momentum", "dampening", "weight_decay")
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and not (momentum > 0 and dampening == 0):
            raise ValueError(
                f"nesterov requires momentum > 0 and dampening = 0, got momentum = {momentum} and "
                f"dampening = {dampening}: change them or set nesterov to False"
            )

    def _update(self, param: Tensor, grad: Tensor, group: Group) -> None:
        momentum = group["momentum"]
        new_param, b = sgd_update(
            param,
            grad,
            self.state[param].get("momentum_buffer") if momentum != 0 else None,
            lr=group["lr"],
            momentum=momentum,
            dampening=group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
        param.copy_(new_param)
        if b is not None:
            self.state[param]["momentum_buffer"] = b

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

from torch import Tensor
from torch.optim.optimizer import ParamsT

from bakeoff.optim._optimizer import Group, PerParameterOptimizer, check_at_least_zero, from_zero, next_step


def rmsprop_update(
    param: Tensor,
    grad: Tensor,
    v: Tensor,
    m: Tensor | None = None,
    b: Tensor | None = None,
    *,
    lr: float,
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
        g = g.add(param, alpha=weight_decay)
    # v_t = α v_{t-1} + (1 - α) g_t²
    v = variance = v.mul(alpha).addcmul_(g, g, value=1 - alpha)
    if m is not None:
        # m_t = α m_{t-1} + (1 - α) g_t
        m = m.lerp(g, 1 - alpha)
        # v_t - m_t²
        variance = v.addcmul(m, m, value=-1)
    # √v_t + ε
    root = variance.sqrt().add_(eps)
    if b is None:
        # θ_t = θ_{t-1} - γ g_t / (√v_t + ε)
        return param.addcdiv(g, root, value=-lr), v, m, None
    # b_t = μ b_{t-1} + g_t / (√v_t + ε)
    b = b.mul(momentum).addcdiv_(g, root)
    # θ_t = θ_{t-1} - γ b_t
    return param.add(b, alpha=-lr), v, m, b


class RMSprop(PerParameterOptimizer):
    """RMSprop with the arguments, defaults and state keys of `torch.optim.RMSprop`.

    The state's `square_avg` is v, `grad_avg` is m and `momentum_buffer` is b. A bf16 parameter stops moving
    once its step is under half its ulp. Raises ValueError on a hyperparameter out of bounds, in any group.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        check_at_least_zero(group, "lr", "eps", "weight_decay", "momentum")
        if not 0 <= group["alpha"] < 1:
            raise ValueError(f"alpha must be in [0, 1), got {group['alpha']}")

    def _update(self, param: Tensor, grad: Tensor, group: Group) -> None:
        state, momentum = self.state[param], group["momentum"]
        new_param, v, m, b = rmsprop_update(
            param,
            grad,
            from_zero(state, "square_avg", param),
            from_zero(state, "grad_avg", param) if group["centered"] else None,
            from_zero(state, "momentum_buffer", param) if momentum != 0 else None,
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=momentum,
            maximize=group["maximize"],
        )
        param.copy_(new_param)
        state["step"] = next_step(state)  # the update has no use for it, but torch's state dict holds it
        state["square_avg"] = v
        if m is not None:
            state["grad_avg"] = m
        if b is not None:
            state["momentum_buffer"] = b

"""Checks hyperparameters and flags: torch's message, then the bound and what to give instead."""

from torch import Tensor

from bakeoff.optim._tensors import Group

# torch's messages, where they are not "Invalid <name> value"
_TORCH_MESSAGES = {"lr": "Invalid learning rate", "eps": "Invalid epsilon value"}


def check_at_least_zero(group: Group, *names: str) -> None:
    """Raise ValueError unless each named value is >= 0; NaN is not."""
    for name in names:
        value = group[name]
        if not value >= 0:
            message = _TORCH_MESSAGES.get(name, f"Invalid {name} value")
            raise ValueError(f"{message}: {value}. {name} must be >= 0, got {value}: give 0 or more")


def check_below_one(name: str, value: float | Tensor, message: str) -> None:
    """Raise ValueError unless the decay rate of an average is in [0, 1): at 1 the average would never change."""
    if not 0 <= value < 1:
        raise ValueError(f"{message}: {value}. {name} must be in [0, 1), got {value}: give 0 or more, less than 1")


def check_lr(group: Group) -> None:
    """Raise ValueError unless lr is a number >= 0 or a tensor of one."""
    lr = group["lr"]
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(
            f"Tensor lr must be 1-element. It has {lr.numel()}; give one learning rate for each replica by replicas="
        )
    check_at_least_zero(group, "lr")


def check_flags(group: Group) -> None:
    """Raise RuntimeError for flags that exclude each other."""
    if group["fused"] and group["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`. Leave one of the two out")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together. Leave one of the two out")


def check_fused_params(params: list[Tensor]) -> None:
    """Raise RuntimeError, with torch's message, for parameters that no fused kernel supports."""
    for param in params:
        if param.device.type not in ("cpu", "cuda") or not (param.is_floating_point() or param.is_complex()):
            raise RuntimeError(
                "`fused=True` requires all the params to be floating point Tensors of supported devices: "
                f"['cpu', 'cuda'] but {param.dtype} and {param.device.type}. Leave fused out"
            )

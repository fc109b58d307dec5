"""Which parameters are trained, and whether the optimizer has just these."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bakeoff.module.compiled import uncompiled


def trained_parameters(net: nn.Module, loss: Any) -> list[nn.Parameter]:
    """The net's parameters, in its order, and behind them those of the loss that require a gradient."""
    parameters = list(net.parameters())
    if not isinstance(loss, nn.Module):
        return parameters
    own = {id(parameter) for parameter in parameters}
    return parameters + [p for p in loss.parameters() if p.requires_grad and id(p) not in own]


def check_optimizer(optimizer: torch.optim.Optimizer, net: nn.Module, loss: Any) -> None:
    """Checks that every parameter that requires a gradient is in the optimizer, and no other module's is.

    Raises:
        ValueError: one is missing, or is a stranger; the message names it.

    """
    given = {id(p): (i, p) for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
    known = _names(uncompiled(net), "net")
    known |= {key: value for key, value in _names(loss, "loss").items() if key not in known}
    missing = [name for name, p in known.values() if p.requires_grad and id(p) not in given]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ValueError(
            f"{missing[0]}{more} is in no parameter group of the optimizer; "
            "give it to the optimizer or set requires_grad=False"
        )
    for key, (group, parameter) in given.items():
        if key not in known:
            raise ValueError(
                f"parameter group {group} of the optimizer has a parameter of shape {tuple(parameter.shape)} "
                "that is neither the net's nor the loss's; give the optimizer those that it is called with"
            )


def _names(module: Any, prefix: str) -> dict[int, tuple[str, nn.Parameter]]:
    if not isinstance(module, nn.Module):
        return {}
    return {id(p): (f"{prefix}.{name}", p) for name, p in module.named_parameters()}

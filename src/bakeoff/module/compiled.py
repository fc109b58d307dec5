"""A compiled net's weights go by the names that the net itself gives them.

`torch.compile(net)` wraps the net in a module that holds it as `_orig_mod`, which would stand in every name. Hooks take
that away when weights are saved, and accept names with and without it when they are loaded. What a net has compiled
of itself, inside, keeps its names: the net as it is built has them, too.
"""

from __future__ import annotations

from typing import Any

from torch import nn

WRAPPED = "_orig_mod"


def uncompiled(net: nn.Module) -> nn.Module:
    """The net, without the wrappers of `torch.compile` around it."""
    while isinstance(inner := getattr(net, WRAPPED, None), nn.Module):
        net = inner
    return net


def use_names_of_net(module: nn.Module) -> None:
    """Makes the state dict of `module` name the weights of its attribute `net` as the net does, compiled or not."""
    module.register_state_dict_post_hook(_remove_wrapper)
    module.register_load_state_dict_pre_hook(_match_wrapper)


def _remove_wrapper(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    _rename(state, f"{prefix}net.", "")


def _match_wrapper(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    net, wrappers = module.net, ""
    while isinstance(inner := getattr(net, WRAPPED, None), nn.Module):
        net, wrappers = inner, f"{wrappers}{WRAPPED}."
    _rename(state, f"{prefix}net.", wrappers)


def _rename(state: dict[str, Any], prefix: str, wrappers: str) -> None:
    """Puts `wrappers` in place of those behind `prefix`; the order of the entries stays."""
    if not wrappers and not any(name.startswith(f"{prefix}{WRAPPED}.") for name in state):
        return
    entries = list(state.items())
    state.clear()
    for name, value in entries:
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            while rest.startswith(f"{WRAPPED}."):
                rest = rest[len(WRAPPED) + 1 :]
            name = f"{prefix}{wrappers}{rest}"
        state[name] = value

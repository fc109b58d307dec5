"""The names and kinds of the parameters that are trained, by which rules choose among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from bakeoff.module.compiled import uncompiled
from bakeoff.module.trained import trained_parameters

KINDS = ("bias", "norm", "embedding", "hidden", "output", "other")
PRECEDENCE = ("norm", "embedding", "bias", "hidden", "other")  # where a tied weight has several uses
_NORM = re.compile(r"Norm(\dd)?$")  # torch's, and those that a net brings along, such as LlamaRMSNorm


class NamedParameter(tuple[str, nn.Parameter]):
    """A pair (name, parameter), as `nn.Module.named_parameters` gives them, with its `kind`, one of `KINDS`."""

    kind: str

    def __new__(cls, name: str, parameter: nn.Parameter, kind: str) -> NamedParameter:
        """The pair."""
        pair = super().__new__(cls, (name, parameter))
        pair.kind = kind
        return pair


def named_parameters(net: nn.Module, loss: Any = None) -> list[NamedParameter]:
    """Those of `trained_parameters`, in this order; names of the loss's begin with `loss.`.

    A weight that is tied stands once, by its first name. Its kind is the first of these that holds:

    - `norm`: of a module whose class, or one that it derives from, is called ...Norm
    - `embedding`: of an `nn.Embedding` or `nn.EmbeddingBag`, wherever else it is used
    - `bias`: it is called `bias`, `in_proj_bias`, `bias_hh_l0` or the like
    - `output`: as `hidden`, and the last such in the order of the net
    - `hidden`: a weight of the net, of two axes or more: it is called `weight`, or is of a layer of torch's
    - `other`: such as a table of positions, or the lengths of a weight norm, that are parameters by themselves
    """
    net = uncompiled(net)
    kinds = _kinds(net, loss)
    names: dict[int, str] = {}
    for prefix, module in (("", net), ("loss.", loss)):
        for name, parameter, _ in _uses(module):
            names.setdefault(id(parameter), f"{prefix}{name}")
    return [NamedParameter(names[id(p)], p, kinds[id(p)]) for p in trained_parameters(net, loss)]


def _uses(module: Any) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    """Name, parameter and the module that holds it; a tied one as often as it is held."""
    if not isinstance(module, nn.Module):
        return
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            yield f"{prefix}.{name}" if prefix else name, parameter, owner


def _kinds(net: nn.Module, loss: Any) -> dict[int, str]:
    uses: dict[int, set[str]] = {}
    last = None
    for name, parameter, owner in _uses(net):
        kind = _kind_of_use(name, parameter, owner)
        uses.setdefault(id(parameter), set()).add(kind)
        last = id(parameter) if kind == "hidden" else last
    for name, parameter, owner in _uses(loss):
        kind = _kind_of_use(name, parameter, owner)
        uses.setdefault(id(parameter), {"other" if kind == "hidden" else kind})
    kinds = {key: min(found, key=PRECEDENCE.index) for key, found in uses.items()}
    return {key: "output" if kind == "hidden" and key == last else kind for key, kind in kinds.items()}


def _kind_of_use(name: str, parameter: nn.Parameter, owner: nn.Module) -> str:
    if any(_NORM.search(base.__name__) for base in type(owner).__mro__):
        return "norm"
    if isinstance(owner, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    own_name = name.rpartition(".")[2]
    if own_name.startswith("bias") or own_name.endswith("bias"):
        return "bias"
    is_weight = own_name == "weight" or _is_layer(owner)
    return "hidden" if is_weight and parameter.ndim >= 2 else "other"


def _is_layer(owner: nn.Module) -> bool:
    """Whether it is one of torch's layers; containers are none."""
    kinds = [kind for kind in type(owner).__mro__ if kind.__module__.startswith("torch.nn.modules.")]
    return any(kind not in (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict) for kind in kinds)

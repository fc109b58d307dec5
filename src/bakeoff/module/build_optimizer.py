"""Calls the factory of an optimizer: the one place that decides what it is called with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from bakeoff.module.named_parameters import named_parameters
from bakeoff.module.param_groups import ParamGroupsError, Rules, groups, options_of
from bakeoff.module.trained import check_optimizer, trained_parameters

NAMED = ("named_parameters", "named_params")
OptimizerFactory = Callable[..., torch.optim.Optimizer]


def build_optimizer(
    factory: OptimizerFactory, net: nn.Module, loss: Any, rules: Rules | None = None
) -> torch.optim.Optimizer:
    """The optimizer over the parameters of the net and of the loss.

    Args:
        factory: called with the parameters; with groups of them, where there are rules; with (name, parameter) pairs,
            where its first argument is called `named_parameters` or `named_params`.
        net: the net.
        loss: the loss, whose parameters are trained with the net's.
        rules: see `bakeoff.module.param_groups.select`; none for one group.

    Raises:
        ValueError: a rule does not fit the parameters or the optimizer; or the optimizer lacks a parameter that
            requires a gradient, or has one of another module.

    """
    named = named_parameters(net, loss)
    if takes_names(factory):
        if rules:
            raise ParamGroupsError(
                f"param_groups: {_name(factory)} makes groups of named parameters itself; give param_groups=all, and "
                "its own arguments"
            )
        optimizer = factory(named)
    elif rules:
        made = groups(rules, named)
        _check_options(factory, net, loss, rules)
        optimizer = factory(made)
    else:
        optimizer = factory(trained_parameters(net, loss))
    check_optimizer(optimizer, net, loss)
    return optimizer


def takes_names(factory: OptimizerFactory) -> bool:
    """Whether it is to be called with (name, parameter) pairs."""
    return next(iter(_arguments(factory)), None) in NAMED


def _check_options(factory: OptimizerFactory, net: nn.Module, loss: Any, rules: Rules) -> None:
    """Groups may have any keys, and most optimizers check the values of none: as arguments they are checked."""
    parameters, arguments = trained_parameters(net, loss), _arguments(factory)
    known = factory(parameters).defaults
    for name, rule in rules.items():
        options = options_of(rule)
        for option in options:
            if option not in known:
                raise ParamGroupsError(
                    f"nothing reads param_groups.{name}.{option}; {_name(factory)} has {', '.join(known)}"
                )
        try:
            factory(parameters, **{option: value for option, value in options.items() if option in arguments})
        except Exception as error:  # whatever an optimizer raises on odd settings
            given = ", ".join(f"{option}={value}" for option, value in options.items())
            shown = f" (given {given})" if isinstance(error, TypeError) else ""  # Python's own, which names no option
            raise ParamGroupsError(f"param_groups.{name}: {error}{shown}") from error


def _arguments(factory: OptimizerFactory) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return {}


def _name(factory: Any) -> str:
    target = factory.func if isinstance(factory, functools.partial) else factory
    return getattr(target, "__name__", type(target).__name__)

"""Builds what makes the update of a step: the optimizer, and the schedule of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from bakeoff.errors import UserError
from bakeoff.module import build_optimizer
from bakeoff.module.loss_parameters import copied
from bakeoff.module.optimizer_mode import OptimizerMode
from bakeoff.module.param_groups import ParamGroupsError, Rules, options_of
from bakeoff.module.split import SplitOptimizer
from bakeoff.train.check_truth import check_truth
from bakeoff.train.instantiate import instantiate, one_line
from bakeoff.train.scheduler import SchedulerFactory, takes_optimizer
from bakeoff.train.unread_arguments import refuse_unread_arguments

TRIED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the budget: a schedule may have phases


def schedule_from(settings: Mapping[str, Any], part: str = "schedule", *, at_least: float = -math.inf) -> Any:
    """A function of the share of the budget, or a `SchedulerFactory`.

    None for a constant learning rate: a scheduler that changes nothing would cost its call in every step.

    Args:
        settings: its class and arguments.
        part: its key, for messages.
        at_least: the smallest factor that is allowed.

    Raises:
        UserError: it is neither, or gives a factor that is not allowed.

    """
    if settings.get("_target_") is None:
        return None
    schedule = instantiate(part, settings, partial=True)
    if takes_optimizer(schedule.func):
        return SchedulerFactory(schedule)
    for fraction in TRIED_FRACTIONS:
        try:
            factor = float(schedule(fraction))
        except Exception as error:  # whatever a user's schedule raises
            raise UserError(f"{part}: {one_line(error)}{_hint(error)}") from error
        if not math.isfinite(factor):
            raise UserError(f"{part}: after {fraction:.0%} of the budget the factor {_of_what(part)}is {factor}")
        if factor < at_least:
            raise UserError(
                f"{part}: after {fraction:.0%} of the budget the factor must be >= {at_least:g}, got {factor}"
            )
    return schedule


def _of_what(part: str) -> str:
    return "of the learning rate " if part == "schedule" else ""


def _hint(error: Exception) -> str:
    """Where it was to be called with the optimizer."""
    is_of_number = isinstance(error, AttributeError | TypeError) and "float" in str(error)
    return "; one that is called with the optimizer names its first parameter `optimizer`" if is_of_number else ""


def optimizer_from(settings: Mapping[str, Any], net: nn.Module, loss: Any, param_groups: Rules) -> Any:
    """The factory, tried on the parameters that are to be trained.

    Raises:
        UserError: it cannot be built, leaves a parameter out, or ignores one of its settings; or a group does not fit.

    """
    refuse_unread_arguments("optimizer", settings)
    factory = instantiate("optimizer", settings, partial=True)
    for name, rule in param_groups.items():
        if isinstance(rule, Mapping):
            check_truth(f"param_groups.{name}", {"_target_": settings["_target_"], **options_of(rule)})
    try:
        if isinstance(build_optimizer(factory, net, loss, param_groups), SplitOptimizer):
            _try_step(factory, net, loss, param_groups)
    except ParamGroupsError as error:
        raise UserError(one_line(error)) from error
    except Exception as error:  # whatever a user's optimizer, or torch's on odd settings, raises
        raise UserError(f"optimizer: {one_line(error)}") from error
    return factory


def _try_step(factory: Any, net: nn.Module, loss: Any, param_groups: Rules) -> None:
    """One step of copies: torch's Muon looks at some of its options only then."""
    net, loss = copied((net, loss))
    optimizer = build_optimizer(factory, net, loss, param_groups)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    OptimizerMode(optimizer).train()
    optimizer.step()

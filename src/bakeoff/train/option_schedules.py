"""Builds the schedules of an optimizer's options: `schedules.weight_decay._target_=bakeoff.schedules.cosine`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer

from bakeoff.errors import UserError, did_you_mean
from bakeoff.train.scheduler import SchedulerFactory
from bakeoff.train.settings import Settings
from bakeoff.train.unread_keys import INSTANTIATE_KEYS
from bakeoff.train.update import schedule_from


def option_schedules_from(
    settings: Settings, optimizer: Optimizer, lr_schedule: Any
) -> dict[str, Callable[[float], float]]:
    """Option -> function of the share of the budget that gives the factor of the option's own value.

    Args:
        settings: the run's.
        optimizer: one as the run makes it, that is not used further.
        lr_schedule: the learning rate's, as `schedule_from` gives it.

    Raises:
        UserError: a schedule cannot be built, is no function of the share of the budget or gives a negative factor;
            or it is for an option that the optimizer does not have, that is no number, or that is 0.

    """
    _refuse_unread_settings(settings)
    found = {option: _schedule(option, node) for option, node in settings.scheduled_options.items()}
    for option in found:
        _check_option(option, optimizer)
    if "momentum" in found and isinstance(lr_schedule, SchedulerFactory):
        _check_only_ours(lr_schedule(optimizer))
    return found


def _refuse_unread_settings(settings: Settings) -> None:
    """Refuses what stands beside a `_target_` that is null."""
    for option, node in settings.schedules.items():
        if node is not None and option not in settings.scheduled_options:
            for key in node.keys() - INSTANTIATE_KEYS:
                raise UserError(f"nothing reads schedules.{option}.{key}: {_no_class(option)}")


def _no_class(option: str) -> str:
    return f"no schedule is named; give schedules.{option}._target_=bakeoff.schedules.cosine"


def _schedule(option: str, node: Any) -> Callable[[float], float]:
    part = f"schedules.{option}"
    if option == "lr":
        raise UserError("schedules.lr: the learning rate has a group of its own; give schedule=cosine")
    if not isinstance(node, Mapping):
        raise UserError(f"{part}={node}: {_no_class(option)}")
    schedule = schedule_from(node, part, at_least=0.0)
    if isinstance(schedule, SchedulerFactory):
        raise UserError(
            f"{part}: {node['_target_']} is called with the optimizer; give a function of the share of the budget, "
            "such as bakeoff.schedules.cosine"
        )
    found: Callable[[float], float] = schedule
    return found


def _check_option(option: str, optimizer: Optimizer) -> None:
    part, name = f"schedules.{option}", type(optimizer).__name__
    values = [group[option] for group in optimizer.param_groups if option in group]
    if not values:
        options = sorted(set().union(*optimizer.param_groups) - {"params"})
        raise UserError(f"{part}: {name} has no {option}{did_you_mean(str(option), options)}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(
                f"{part}: {option} of {name} must be a number to be scheduled, got a {type(value).__name__}"
            )
    if not any(values):
        raise UserError(f"{part}: {option} of {name} is 0, times any factor 0; give optimizer.{option}=...")


def _check_only_ours(scheduler: Any) -> None:
    """OneCycleLR and CyclicLR of torch set the momentum, too."""
    if getattr(scheduler, "cycle_momentum", False):
        name = type(scheduler).__name__
        raise UserError(f"schedules.momentum: {name} sets the momentum itself; switch off its cycle_momentum")

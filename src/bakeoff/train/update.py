"""Builds what makes the update of a step: the optimizer, and the schedule of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from bakeoff.errors import UserError
from bakeoff.module import build_optimizer
from bakeoff.module.param_groups import ParamGroupsError, Rules, options_of
from bakeoff.train.check_truth import check_truth
from bakeoff.train.instantiate import instantiate, one_line

TRIED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the budget: a schedule may have phases


def schedule_from(settings: Mapping[str, Any]) -> Any:
    """None for a constant learning rate: a scheduler that changes nothing would cost its call in every step.

    Raises:
        UserError: it is no function of the share of the budget.

    """
    if settings.get("_target_") is None:
        return None
    schedule = instantiate("schedule", settings, partial=True)
    for fraction in TRIED_FRACTIONS:
        try:
            factor = float(schedule(fraction))
        except Exception as error:  # whatever a user's schedule raises
            raise UserError(f"schedule: {one_line(error)}") from error
        if not math.isfinite(factor):
            raise UserError(f"schedule: after {fraction:.0%} of the budget the factor of the learning rate is {factor}")
    return schedule


def optimizer_from(settings: Mapping[str, Any], net: nn.Module, loss: Any, param_groups: Rules) -> Any:
    """The factory, tried on the parameters that are to be trained.

    Raises:
        UserError: it cannot be built, or leaves a parameter out; or a group of parameters does not fit.

    """
    factory = instantiate("optimizer", settings, partial=True)
    for name, rule in param_groups.items():
        if isinstance(rule, Mapping):
            check_truth(f"param_groups.{name}", {"_target_": settings["_target_"], **options_of(rule)})
    try:
        build_optimizer(factory, net, loss, param_groups)
    except ParamGroupsError as error:
        raise UserError(one_line(error)) from error
    except Exception as error:  # whatever a user's optimizer, or torch's on odd settings, raises
        raise UserError(f"optimizer: {one_line(error)}") from error
    return factory

"""Schedulers of torch's kind: made with the optimizer, and stepped once after each optimizer step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bakeoff.errors import UserError
from bakeoff.train.budget import Budget
from bakeoff.train.instantiate import one_line


@dataclass(frozen=True)
class SchedulerFactory:
    """Makes a scheduler of an optimizer; what is no such factory is a function of the share of the budget."""

    make: Callable[[Optimizer], Any]

    def __call__(self, optimizer: Optimizer) -> Any:
        """The scheduler, which has set the learning rates of the first step."""
        return self.make(optimizer)


def takes_optimizer(target: Any) -> bool:
    """Whether a class or function is one of torch's schedulers, or its first parameter is named `optimizer`."""
    if inspect.isclass(target) and issubclass(target, LRScheduler):
        return True
    try:
        return next(iter(inspect.signature(target).parameters), None) == "optimizer"
    except (TypeError, ValueError):  # a builtin without a signature
        return False


def check_scheduler(factory: SchedulerFactory, optimizer: Optimizer, budget: Budget) -> None:
    """Tries the factory on an optimizer that is not used further.

    Raises:
        UserError: it cannot be built, gives no scheduler of torch's or one that follows a metric, or has fewer steps
            than the budget.

    """
    try:
        scheduler = factory(optimizer)
    except Exception as error:  # whatever a user's scheduler, or torch's on odd settings, raises
        raise UserError(f"schedule: {one_line(error)}") from error
    name = type(scheduler).__name__
    if not isinstance(scheduler, LRScheduler):
        raise UserError(f"schedule: got a {name}, not a torch.optim.lr_scheduler.LRScheduler")
    if isinstance(scheduler, ReduceLROnPlateau):
        raise UserError(
            f"schedule: {name} follows a metric, and a schedule here follows the steps: use schedule=step, or "
            "return it from configure_optimizers of a LightningModule of your own"
        )
    total = getattr(scheduler, "total_steps", None)
    if isinstance(total, int) and budget.steps is not None and budget.steps > total:
        raise UserError(
            f"schedule: {name} ends after {total} steps, and the budget has {budget.steps}: "
            f"give schedule.total_steps={budget.steps}"
        )

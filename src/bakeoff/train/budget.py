"""What a run may spend, how much of it is spent, and where on the way the validations are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bakeoff.data import DataSpec
from bakeoff.errors import UserError
from bakeoff.train.settings import UNITS, BudgetSettings, Settings

DEFAULT_VALIDATIONS = 20
MAX_VALIDATIONS = 100


@dataclass(frozen=True)
class Budget:
    """A budget in optimizer steps or in seconds, to which epochs and samples are converted.

    `seconds` are seconds of training, validation included. `validations` are spread evenly; the last comes with the
    last step.
    """

    steps: int | None
    seconds: float | None
    validations: int


class BudgetClock:
    """How much of a budget one run has spent."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._started: float | None = None
        self._seconds_before = 0.0
        self._validations = 0
        count, steps = budget.validations, budget.steps or 0
        self._validate_at = frozenset(math.ceil(k * steps / count) for k in range(1, count + 1))

    def start(self) -> None:
        """Starts the clock of a budget in seconds, where a resumed run had stopped it."""
        self._started = time.monotonic() - self._seconds_before

    def state_dict(self) -> dict[str, Any]:
        """The seconds spent, and how many validations there were."""
        return {"seconds": self._seconds(), "validations": self._validations}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the state."""
        self._seconds_before, self._validations = state["seconds"], state["validations"]

    def fraction_done(self, step: int) -> float:
        """The fraction that is spent after `step` optimizer steps, in [0, 1]."""
        if self.budget.steps is not None:
            return min(1.0, step / self.budget.steps)
        assert self.budget.seconds is not None
        return min(1.0, self._seconds() / self.budget.seconds)

    def validation_due(self, step: int) -> bool:
        """Whether there is a validation after `step` optimizer steps; to be asked once a step."""
        if self.budget.steps is not None:
            return step in self._validate_at
        due = int(self.fraction_done(step) * self.budget.validations)
        is_due, self._validations = due > self._validations, max(due, self._validations)
        return is_due

    def _seconds(self) -> float:
        return self._seconds_before if self._started is None else time.monotonic() - self._started

    def lr_factor(self, schedule: Callable[[float], float]) -> Callable[[int], float]:
        """The schedule as a function of the optimizer step."""
        return lambda step: schedule(self.fraction_done(step))


def budget_of(settings: Settings, spec: DataSpec) -> Budget:
    """The budget of a run on data of this kind. Raises UserError as `budget_from` does."""
    return budget_from(
        settings.budget,
        n_train=spec.n_train,
        steps_per_epoch=spec.steps_per_epoch,
        batch_size=settings.samples_per_step,
    )


def steps_of(spec: DataSpec, settings: Settings) -> DataSpec:
    """The spec with `steps_per_epoch` in optimizer steps, where several batches make one.

    The last step of an epoch may be of fewer batches than the others.

    Raises:
        UserError: no step of an epoch would be a whole one.

    """
    batches, count = spec.steps_per_epoch, settings.trainer.accumulate_grad_batches
    if batches is None or count == 1:
        return spec
    if count > batches:
        raise UserError(
            f"trainer.accumulate_grad_batches={count}, but an epoch has {batches} batches: "
            f"give {batches} or less, or a smaller batch_size"
        )
    return replace(spec, steps_per_epoch=math.ceil(batches / count))


def epochs_of(budget: Budget, steps_per_epoch: int | None) -> int:
    """How many epochs a budget begins; -1, as Lightning writes it, where that is not known."""
    known = budget.steps is not None and steps_per_epoch is not None
    return math.ceil(budget.steps / steps_per_epoch) if known else -1  # type: ignore[operator]


def budget_from(
    settings: BudgetSettings, *, n_train: int | None, steps_per_epoch: int | None, batch_size: int | str
) -> Budget:
    """Converts `budget.epochs|steps|samples|seconds` to a `Budget` for data of this size.

    `batch_size` is the number of samples in an optimizer step, of one batch or of several.

    Raises:
        UserError: epochs or samples are asked for, and the data does not say how long an epoch is.

    """
    unit = next(unit for unit in UNITS if getattr(settings, unit) is not None)
    amount = getattr(settings, unit)
    validations = settings.validations or _default_validations(unit, amount)
    if unit == "seconds":
        return Budget(steps=None, seconds=amount, validations=validations)
    if unit == "steps":
        return Budget(steps=amount, seconds=None, validations=validations)
    if steps_per_epoch is None or (unit == "samples" and n_train is None):
        raise UserError(f"budget.{unit} needs data of known length; give budget.steps or budget.seconds")
    if unit == "samples":
        assert n_train is not None
        steps = _steps_for(amount, n_train, steps_per_epoch, batch_size)
    else:
        steps = math.ceil(amount * steps_per_epoch)
    return Budget(steps=max(1, steps), seconds=None, validations=validations)


def _default_validations(unit: str, amount: float) -> int:
    """One an epoch where epochs are counted: more would cost more than the training does."""
    return min(math.ceil(amount), MAX_VALIDATIONS) if unit == "epochs" else DEFAULT_VALIDATIONS


def _steps_for(samples: int, n_train: int, steps_per_epoch: int, batch_size: int | str) -> int:
    """Steps after which at least `samples` were seen: the last batch of an epoch may be short."""
    epochs, rest = divmod(samples, n_train)
    batch = n_train if batch_size == "full" else min(int(batch_size), n_train)
    return epochs * steps_per_epoch + math.ceil(rest / batch)


def samples_seen(steps: int, n_train: int | None, steps_per_epoch: int | None, batch_size: int | str) -> int:
    """Examples seen in `steps` optimizer steps of `batch_size` samples, short last ones of an epoch as they are."""
    if n_train is None or not steps_per_epoch:
        return steps * batch_size if isinstance(batch_size, int) else 0
    epochs, rest = divmod(steps, steps_per_epoch)
    batch = n_train if batch_size == "full" else int(batch_size)
    return epochs * n_train + min(rest * batch, n_train)

"""What a run may spend, and where on the way the validation data is looked at."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from bakeoff.errors import UserError

USUAL_VALIDATIONS = 20
MOST_VALIDATIONS = 100


class Budget:
    """A budget in optimizer steps or in seconds, to which epochs and samples are turned.

    Args:
        steps: optimizer steps, or None for a budget in seconds.
        seconds: seconds of training, validation included, or None.
        validations: looks at the validation data, spread evenly; the last comes with the last step.

    """

    def __init__(self, *, steps: int | None, seconds: float | None, validations: int) -> None:
        self.steps, self.seconds, self.validations = steps, seconds, validations
        self._started = math.nan
        self._looks = 0
        spread = [math.ceil(k * (steps or 0) / validations) for k in range(1, validations + 1)]
        self._look_at = frozenset(spread)

    def start(self) -> None:
        """Starts the clock of a budget in seconds."""
        self._started, self._looks = time.monotonic(), 0

    def state_dict(self) -> dict[str, Any]:
        """The clock, and how many validations there were."""
        return {"seconds": time.monotonic() - self._started, "looks": self._looks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Starts the clock where another one stood."""
        self._started, self._looks = time.monotonic() - state["seconds"], state["looks"]

    def spent(self, step: int) -> float:
        """The share that is spent after `step` optimizer steps, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, (time.monotonic() - self._started) / self.seconds)

    def validation_due(self, step: int) -> bool:
        """Whether the validation data is to be looked at after `step` optimizer steps."""
        if self.steps is not None:
            return step in self._look_at
        due = int(self.spent(step) * self.validations)
        is_due, self._looks = due > self._looks, max(due, self._looks)
        return is_due

    def lr_factor(self, schedule: Callable[[float], float]) -> Callable[[int], float]:
        """The schedule as a function of the optimizer step."""
        return lambda step: schedule(self.spent(step))


def budget_from(
    settings: Mapping[str, Any], *, n_train: int | None, steps_per_epoch: int | None, batch_size: int | str
) -> Budget:
    """Turns `budget.epochs|steps|samples|seconds` into a `Budget` for data of this size.

    Raises:
        UserError: epochs or samples are asked for, and the data does not say how long an epoch is.

    """
    unit = next(u for u in ("epochs", "steps", "samples", "seconds") if settings.get(u) is not None)
    amount = settings[unit]
    validations = settings["validations"] or _usual_validations(unit, amount)
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


def _usual_validations(unit: str, amount: float) -> int:
    """One an epoch where epochs are counted: more would cost more than the training does."""
    return min(math.ceil(amount), MOST_VALIDATIONS) if unit == "epochs" else USUAL_VALIDATIONS


def _steps_for(samples: int, n_train: int, steps_per_epoch: int, batch_size: int | str) -> int:
    """Steps after which at least `samples` were seen: the last batch of an epoch may be short."""
    epochs, rest = divmod(samples, n_train)
    batch = n_train if batch_size == "full" else min(int(batch_size), n_train)
    return epochs * steps_per_epoch + math.ceil(rest / batch)


def samples_seen(steps: int, n_train: int | None, steps_per_epoch: int | None, batch_size: int | str) -> int:
    """Examples seen in `steps` optimizer steps, short last batches counted as they are."""
    if n_train is None or not steps_per_epoch:
        return steps * batch_size if isinstance(batch_size, int) else 0
    epochs, rest = divmod(steps, steps_per_epoch)
    batch = n_train if batch_size == "full" else int(batch_size)
    return epochs * n_train + min(rest * batch, n_train)

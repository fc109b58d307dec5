"""From a configuration to an outcome: one run, prepared here, and trained by as many attempts as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bakeoff.runs import Outcome
from bakeoff.train.attempt import Attempt
from bakeoff.train.budget import Budget, budget_from
from bakeoff.train.hyperparameters import hyperparameters
from bakeoff.train.identity import identity_by_seed
from bakeoff.train.parts import Parts, build, instantiate
from bakeoff.train.settings import PARTS, check_metric, given_keys
from bakeoff.train.stopping import Stopping
from bakeoff.train.trainer import check_device


class Run:
    """One training, prepared: every part is built and checked, nothing is written yet.

    Args:
        settings: plain, settled settings (`bakeoff.train.settings.settle`).
        overrides: the command line's own, from which the arm is read.
        choices: group -> option that was chosen in it, by which a part is called where it is shown; without it, and
            where the command line names another class, a part is called by its class.

    `hyperparameters` are what TensorBoard is told of it, name -> value.

    Raises:
        UserError: a part cannot be built, or the parts do not fit each other.

    """

    def __init__(
        self, settings: Mapping[str, Any], overrides: Sequence[str], choices: Mapping[str, str] | None = None
    ) -> None:
        self.settings, self.overrides = settings, list(overrides)
        given = given_keys(overrides)
        own_class = {part for part in PARTS if f"{part}._target_" in given}
        named = {group: option for group, option in (choices or {}).items() if group not in own_class}
        self.parts: Parts = build(settings)
        spec = self.parts.spec
        self.hyperparameters = hyperparameters(settings, named, spec.n_train)
        self.metric = check_metric(settings["metric"], self.parts.task, self.parts.n_out)
        self.budget: Budget = budget_from(
            settings["budget"],
            n_train=spec.n_train,
            steps_per_epoch=spec.steps_per_epoch,
            batch_size=settings["batch_size"],
        )
        self.callbacks = [instantiate(f"callbacks.{k}", v) for k, v in settings["callbacks"].items()]
        self.request: dict[str, Any] | None = None  # what its record is told of the command
        self._attempt: Attempt | None = None
        check_device(settings["trainer"])

    @cached_property
    def identity_with(self) -> Callable[[int], str]:
        """Seed -> identity of the run that differs from this one in its seed alone."""
        return identity_by_seed(self.settings, self.parts.spec.digest)

    @property
    def identity(self) -> str:
        """A hash of what decides the result."""
        return self.identity_with(self.settings["seed"])

    def share(self) -> float:
        """The part of the budget that is spent, in [0, 1]; another thread may ask."""
        return self._attempt.share() if self._attempt else 0.0

    def train(
        self,
        folder: Path,
        *,
        progress_bar: bool = False,
        stopping: Stopping | None = None,
        is_mine: Callable[[], bool] = lambda: True,
        threads: int | None = None,
    ) -> Outcome:
        """Trains to the end of the budget, tests once on the last weights, and writes `outcome.json` and event files.

        Goes on from the last checkpoint that this very run has left in `folder`; anything else there is replaced. A
        failure is recorded and returned, not raised.

        Args:
            folder: the run's.
            progress_bar: whether to show one.
            stopping: by whom it can be asked to stop.
            is_mine: whether this process is still the one to train it; if not, it stops and writes nothing any more.
            threads: of torch, where neither the settings nor an earlier attempt give them.

        Raises:
            SystemExit: stopped from outside; the run is recorded as interrupted.

        """
        self._attempt = Attempt(self, folder, stopping or Stopping(), is_mine, progress_bar=progress_bar)
        return self._attempt.make(threads)

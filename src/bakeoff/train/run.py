"""From a configuration to an outcome: one run, prepared here, and trained by as many attempts as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bakeoff.runs import Outcome, lower_is_better
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
        check_device(settings["trainer"])

    @cached_property
    def identity(self) -> str:
        """A hash of what decides the result."""
        return identity_by_seed(self.settings, self.parts.spec.digest)(self.settings["seed"])

    def train(
        self,
        folder: Path,
        *,
        progress_bar: bool = False,
        stopping: Stopping | None = None,
        follow: Callable[[Attempt], None] = lambda _: None,
    ) -> Outcome:
        """Trains to the end of the budget, tests once on the last weights, and writes `outcome.json` and event files.

        Goes on from the last checkpoint that this very run has left in `folder`; anything else there is replaced. A
        failure is recorded and returned, not raised. `follow` is given the attempt before it begins.

        Raises:
            SystemExit: stopped from outside; the run is recorded as interrupted.

        """
        attempt = Attempt(self, folder, stopping or Stopping(), progress_bar=progress_bar)
        follow(attempt)
        return attempt.make()


def objective(outcome: Outcome, metric: str) -> float:
    """What a sweeper is given: the final value of the metric, or the worst one after a bad end."""
    value = outcome.metrics.get(metric, {}).get("final") if outcome.status == "completed" else None
    worst = float("inf") if lower_is_better(metric) else float("-inf")
    return worst if value is None else float(value)

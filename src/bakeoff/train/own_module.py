"""Builds a LightningModule of the user's own: what its constructor asks for is filled in, the rest is its own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np

from bakeoff.data import DatasetDataModule, DataSpec
from bakeoff.errors import UserError
from bakeoff.module.fallback import overrides
from bakeoff.train.batch_norm import check_batch_norm
from bakeoff.train.budget import Budget, BudgetClock, budget_of, epochs_of
from bakeoff.train.data_source import DataIdentity
from bakeoff.train.instantiate import instantiate
from bakeoff.train.net import (
    FILLED_FROM_DATA,
    arguments_of,
    as_plain,
    check_forward,
    filled_from_data,
    locate,
    net_from,
)
from bakeoff.train.parts import OwnModuleParts
from bakeoff.train.settings import Settings
from bakeoff.train.try_module import try_module
from bakeoff.train.update import schedule_from

# parameters of a constructor -> the part that they are given
PART_OF = {
    "net": "model",
    "model": "model",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "scheduler": "schedule",
}
CHOSEN = ("model", "loss", "optimizer", "schedule")  # the parts that another module may leave out
NEEDED = {
    "training_step": "nothing would be trained",
    "validation_step": "nothing would say how good it is",
    "configure_optimizers": "nothing would be trained",
}


def own_module(
    data: pl.LightningDataModule, spec: DataSpec, data_identity: DataIdentity, settings: Settings
) -> OwnModuleParts:
    """The module, built after the seed, and tried on a few examples.

    Parameters of its constructor that have no default and that the settings do not give are filled in by name: those
    of `PART_OF`, `n_in`, `n_out`, `in_shape` and `batch_size`.

    Raises:
        UserError: it cannot be built, is no LightningModule, lacks a method, or fails on the examples.

    """
    if isinstance(data, DatasetDataModule):
        data.checks_values = False  # it may mask what is not finite
    node = settings.module
    wanted = _to_be_filled(arguments_of(locate("module", node)), node)
    filled = filled_from_data("module", (name for name in wanted if name in FILLED_FROM_DATA), spec)
    if "batch_size" in wanted:
        filled["batch_size"] = _batch_size(spec, settings.batch_size)
    parts, nodes = {}, {}
    for name in wanted:
        if name in PART_OF:
            pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)
            parts[name], nodes[name] = _part(PART_OF[name], spec, settings)
    pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)
    module = instantiate("module", node, **filled, **parts)
    _check(module, str(node["_target_"]), settings)
    check_batch_norm(module, spec, settings)
    budget = budget_of(settings, spec)
    tried = try_module(
        module,
        data,
        settings.trainer,
        has_test=spec.has_test,
        max_epochs=epochs_of(budget, spec.steps_per_epoch),
        max_steps=budget.steps if budget.steps is not None and module.automatic_optimization else -1,
    )
    if tried is not None and tried.schedule_reads_metrics:
        _check_validations(module, budget, spec)
    taken = frozenset(PART_OF[name] for name in parts)
    again = {**node, **as_plain(filled), **nodes}
    logged = None if tried is None else tried.logged
    return OwnModuleParts(data, data_identity, spec, module, again, None, spec.n_out, taken, tuple(wanted), logged)


def _check_validations(module: pl.LightningModule, budget: Budget, spec: DataSpec) -> None:
    """A schedule that looks at a metric after each epoch needs a validation there."""
    if budget.steps is None or spec.steps_per_epoch is None:
        raise UserError(
            f"module: a schedule of {type(module).__name__} looks at a metric after each epoch; give budget.epochs=..."
        )
    ends = range(spec.steps_per_epoch, budget.steps + 1, spec.steps_per_epoch)
    clock = BudgetClock(budget)
    if not all(clock.validation_due(step) for step in ends):
        raise UserError(
            f"module: a schedule of {type(module).__name__} looks at a metric after each epoch: give "
            f"budget.validations={math.ceil(budget.steps / spec.steps_per_epoch)}, and a budget of whole epochs"
        )


def _batch_size(spec: DataSpec, asked: int | str) -> int | None:
    """The number of samples in a batch; all, where as many or more are asked for: both are the same run."""
    if asked == "full":
        return spec.n_train
    return int(asked) if spec.n_train is None else min(int(asked), spec.n_train)


def _to_be_filled(parameters: Mapping[str, inspect.Parameter], node: Mapping[str, Any]) -> list[str]:
    known = {*PART_OF, *FILLED_FROM_DATA, "batch_size"}
    required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    return [name for name in required if name in known and name not in node]


def _part(part: str, spec: DataSpec, settings: Settings) -> tuple[Any, Any]:
    """A part, and the node that builds it again."""
    if part == "model":
        net, node = net_from(settings.model, spec)
        check_forward(net, spec)  # gives lazy layers their sizes, too
        return net, node
    if part == "schedule":
        schedule = schedule_from(settings.schedule)
        return schedule, None if schedule is None else {**settings.schedule, "_partial_": True}
    if part == "optimizer":
        return instantiate(part, settings.optimizer, partial=True), {**settings.optimizer, "_partial_": True}
    return instantiate(part, settings.part(part)), dict(settings.part(part))


def _check(module: Any, target: str, settings: Settings) -> None:
    name = target.rpartition(".")[2]
    if not isinstance(module, pl.LightningModule):
        if any(base.__name__ == "LightningModule" for base in type(module).__mro__):
            raise UserError(
                f"module: {name} is a LightningModule of another package; derive it from lightning.LightningModule"
            )
        raise UserError(
            f"module: {target} gave a {type(module).__name__}, not a LightningModule; a net is given as model._target_="
        )
    for method, why in NEEDED.items():
        if not overrides(module, pl.LightningModule, method):
            raise UserError(f"module: {name} has no {method}: {why}")
    if settings.param_groups:
        raise UserError(f"param_groups: {name} makes its optimizer itself; make the groups in its configure_optimizers")
    for option in settings.schedules:
        raise UserError(f"schedules.{option}: the optimizer's steps are {name}'s own; change its {option} there")
    if settings.trainer.compile:
        raise UserError(f"trainer.compile=true is for module=supervised; compile in {name}.configure_model")
    batches = settings.trainer.accumulate_grad_batches
    if batches > 1 and not module.automatic_optimization:
        raise UserError(
            f"trainer.accumulate_grad_batches={batches}: {name} makes its steps itself (automatic_optimization=False), "
            "and accumulates there"
        )
    clips = settings.clip.norm is not None or settings.clip.value is not None
    if clips and not module.automatic_optimization:
        raise UserError(f"clip: {name} makes its steps itself (automatic_optimization=False), and clips there")


def refuse_choices(parts: OwnModuleParts, given: Iterable[str]) -> None:
    """Refuses keys of the command line for parts that the module does not take: they would change nothing.

    Raises:
        UserError: names the first, and the arguments of the module itself.

    """
    module = type(parts.net)
    for key in sorted(given):
        if key.partition(".")[0] in ("ema", "metrics", "task"):
            raise UserError(f"{key}: {module.__name__} has its own steps, and logs its own metrics")
    own = [name for name in arguments_of(module) if name not in parts.filled]
    for key in sorted(given):
        part = key.partition(".")[0]
        if part in CHOSEN and part not in parts.taken:
            instead = f": sweep {', '.join(f'module.{name}=...' for name in own)}" if own else ""
            raise UserError(f"{key}: the {part} is {module.__name__}'s own{instead}")


def notes_of(parts: OwnModuleParts) -> tuple[str, ...]:
    """Which arguments are filled in, and that what it logs is in the units of scaled targets."""
    name, notes = type(parts.net).__name__, []
    if parts.filled:
        notes.append(f"module: {name} is given {', '.join(parts.filled)}")
    if parts.spec.task == "regression" and np.any(np.asarray(parts.spec.target_std) != 1):
        notes.append(f"module: {name} gets targets of mean 0 and standard deviation 1, and logs in these units")
    return tuple(notes)

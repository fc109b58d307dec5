"""One run, built: what it is made of, what it may spend and what it is ranked by. Data only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import lightning.pytorch as pl

from bakeoff.errors import UserError
from bakeoff.runs import Direction
from bakeoff.runs.modules import own_modules
from bakeoff.tensorboard.hparams import Hyperparameter
from bakeoff.train.budget import Budget, budget_of
from bakeoff.train.build import build
from bakeoff.train.callbacks import build_callbacks
from bakeoff.train.check_devices import check_devices
from bakeoff.train.files_read import files_read
from bakeoff.train.hyperparameters import hyperparameters
from bakeoff.train.identity import identity_by_seed, own_names
from bakeoff.train.loader_options import without_loader_options
from bakeoff.train.metrics import directions_of
from bakeoff.train.own_module import notes_of, refuse_choices
from bakeoff.train.parse_settings import overridden_keys
from bakeoff.train.part_files import PartFiles, part_files
from bakeoff.train.parts import OwnModuleParts, Parts, SupervisedParts
from bakeoff.train.ranking_metric import resolve_metric, resolve_own_metric
from bakeoff.train.settings import PARTS, Settings
from bakeoff.train.trainer import check_device, check_precision


@dataclass
class Run:
    """Every part is built and checked; nothing is written yet.

    `overrides` are the command line's own, from which the arm is read. `hyperparameters` are what TensorBoard is told
    of the run, name -> value. `modules` are the user's own that it is made of, `files` those that the settings of its
    parts name. `fingerprint` is what its record keeps, so that a repeated command recognizes it, and `launch` names the
    command that trains it.
    """

    settings: Settings
    overrides: list[str]
    parts: Parts
    hyperparameters: Mapping[str, Hyperparameter]
    metric: str
    direction: Direction
    budget: Budget
    callbacks: list[pl.Callback]
    modules: Mapping[str, str]
    files: PartFiles
    fingerprint: dict[str, Any] | None = field(default=None)
    launch: str | None = field(default=None)

    @cached_property
    def identity_with(self) -> Callable[[int], str]:
        """Seed -> identity of the run that differs from this one in its seed alone."""
        return identity_by_seed(
            self._as_trained(),
            self.parts.data_identity.decisive,
            self.modules,
            parts=self.parts.trained,
            drops_samples=self.parts.drops_samples,
            reads_in_workers=self.parts.reads_in_workers,
            files=self.files.contents,
        )

    def _as_trained(self) -> Settings:
        """A batch size of all samples or more is the full batch, where we make the batches."""
        size, n = self.settings.global_batch_size, self.parts.spec.n_train
        is_ours = self.parts.batches_are_ours and not self.parts.drops_samples
        is_full = is_ours and n is not None and size != "full" and size >= n
        settings = replace(self.settings, data=without_loader_options(self.settings.data)[0])
        return replace(settings, batch_size="full") if is_full else settings

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user is to know of how it was built."""
        if isinstance(self.parts, OwnModuleParts):
            return notes_of(self.parts)
        return (self.parts.note,) if isinstance(self.parts, SupervisedParts) else ()

    @property
    def assumed(self) -> str | None:
        """What is assumed unchanged where a record is taken for that of this run; None where all is known."""
        assumed = [text for text in (self.parts.data_identity.assumed, self.files.assumed) if text is not None]
        return "; ".join(assumed) or None

    @cached_property
    def decided_by(self) -> Mapping[str, str]:
        """What decides the result beside the settings, as it is now: name -> a hash."""
        data = json.dumps(self.parts.data_identity.decisive, sort_keys=True)
        modules = {f"module {name}": digest for name, digest in self.modules.items()}
        files = {f"the file of {key}": content for key, content in self.files.contents.items()}
        return {**modules, **files, "the data": data}

    @property
    def identity(self) -> str:
        """A hash of what decides the result."""
        return self.identity_with(self.settings.seed)


def build_run(settings: Settings, overrides: Sequence[str], choices: Mapping[str, str] | None = None) -> Run:
    """Builds every part of a run.

    Args:
        settings: `bakeoff.train.settings.resolve_settings`.
        overrides: the command line's own.
        choices: group -> option that was chosen in it, by which a part is called where it is shown; without it, and
            where the command line names another class, a part is called by its class.

    Raises:
        UserError: a part cannot be built, or the parts do not fit each other.

    """
    given = overridden_keys(overrides)
    own_class = {part for part in PARTS if f"{part}._target_" in given}
    named = {group: option for group, option in (choices or {}).items() if group not in own_class}
    names = own_names(settings)
    before = own_modules(names)
    parts, read = build(settings)
    spec = parts.spec
    if isinstance(parts, OwnModuleParts):
        refuse_choices(parts, given)
    metric, direction = _metric(settings, parts)
    budget = budget_of(settings, spec)
    with files_read() as read_by_callbacks:
        callbacks = build_callbacks(settings.callbacks)
    check_device(settings.trainer)
    check_devices(parts, settings)
    check_precision(settings.trainer.precision, parts.task)
    shown = hyperparameters(settings, named, spec.n_train, ("data", *parts.trained))
    modules = own_modules(names)  # again: some are found only when others are imported, which extend the search path
    _refuse_changed(before, modules)
    files = part_files(settings, read | read_by_callbacks)
    return Run(settings, list(overrides), parts, shown, metric, direction, budget, callbacks, modules, files)


def _metric(settings: Settings, parts: Parts) -> tuple[str, Direction]:
    if not isinstance(parts, OwnModuleParts):
        given = directions_of(parts.metrics) if isinstance(parts, SupervisedParts) else {}
        return resolve_metric(
            settings.metric,
            settings.metric_direction,
            str(parts.task),
            parts.n_out or 0,
            given,
            has_average=settings.ema.decay is not None,
        )
    name = type(parts.net).__name__
    may_log_more = parts.logged is None or bool(settings.callbacks)
    return resolve_own_metric(
        settings.metric, settings.metric_direction, name, parts.logged or {}, may_log_more=may_log_more
    )


def _refuse_changed(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """A module that was written while it was imported: which of the two it is nobody knows."""
    for name, digest in before.items():
        if after.get(name, digest) != digest:
            raise UserError(f"module {name} changed while the run was built; run the command again")

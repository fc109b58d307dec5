"""Wires the parts of a run by `_target_`: data, net, loss, optimizer and schedule, ours and anybody's alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl

from bakeoff.data import DatasetDataModule, DataSpec, InMemoryDataModule
from bakeoff.data.module_labels import check_module_labels
from bakeoff.data.sample_checks import Labels
from bakeoff.errors import UserError
from bakeoff.module import registered, trained_parameters
from bakeoff.module.counted import CountedLabels
from bakeoff.train.batch_norm import check_batch_norm
from bakeoff.train.budget import budget_of, steps_of
from bakeoff.train.check_examples import check_examples
from bakeoff.train.data_source import DataIdentity, load_data
from bakeoff.train.files_read import FilesRead, files_read
from bakeoff.train.instantiate import instantiate
from bakeoff.train.net import NO_CLASSES, check_forward, net_from, no_columns
from bakeoff.train.own_module import own_module
from bakeoff.train.parts import Parts, SupervisedParts
from bakeoff.train.scheduler import SchedulerFactory, check_scheduler
from bakeoff.train.settings import Settings
from bakeoff.train.update import optimizer_from, schedule_from


def build(settings: Settings) -> tuple[Parts, FilesRead]:
    """Builds every part from its settings; the seed fixes the initial weights, whatever else was drawn before.

    Returns:
        the parts, and the files that were read as those beside the data were built.

    Raises:
        UserError: a part cannot be built, or does not fit the data.

    """
    data, spec, data_identity = load_data(settings)
    spec = steps_of(spec, settings)
    with files_read() as read:
        if settings.has_own_module:
            return own_module(data, spec, data_identity, settings), read
        parts = _supervised(data, spec, data_identity, settings)
    if parts.task == "classification":
        _check_labels(data, Labels(spec.n_out or 0, CountedLabels(parts.loss).ignored))
    return parts, read


def _supervised(
    data: pl.LightningDataModule, spec: DataSpec, data_identity: DataIdentity, settings: Settings
) -> SupervisedParts:
    pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)  # a loss may draw, too
    loss = instantiate("loss", settings.loss)
    task = _task(spec, loss, settings)
    pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)
    net, model = net_from(settings.model, spec)
    output, changes_input = check_forward(net, spec)
    if isinstance(data, InMemoryDataModule):
        data.copies = changes_input
    if spec.n_out is None:
        raise UserError(NO_CLASSES if task == "classification" else no_columns(spec))
    check_examples(net, output, loss, spec, task)
    check_batch_norm(net, spec, settings)
    loss = registered(loss, net)
    if not any(parameter.requires_grad for parameter in trained_parameters(net, loss)):
        raise UserError(
            f"model: {type(net).__name__} has no parameter that requires a gradient: nothing is to be trained"
        )
    optimizer = optimizer_from(settings.optimizer, net, loss)
    schedule = schedule_from(settings.schedule)
    if isinstance(schedule, SchedulerFactory):
        check_scheduler(schedule, optimizer(trained_parameters(net, loss)), budget_of(settings, spec))
    return SupervisedParts(data, data_identity, spec, net, model, task, spec.n_out, loss, optimizer, schedule)


def _check_labels(data: pl.LightningDataModule, labels: Labels) -> None:
    if isinstance(data, DatasetDataModule):
        data.use_labels(labels)
    elif not isinstance(data, InMemoryDataModule):  # those of arrays were checked when they were read
        check_module_labels(data, labels)


def _task(spec: DataSpec, loss: Any, settings: Settings) -> str:
    fits = getattr(loss, "task", None)
    task = spec.task or fits
    if task is None:
        raise UserError("data: neither the data nor the loss says whether this is classification or regression")
    if fits is not None and fits != task:
        raise LossDoesNotFitError(str(settings.loss["_target_"]), fits, task)
    return str(task)


class LossDoesNotFitError(UserError):
    """A loss for one task meets data for another."""

    def __init__(self, loss: str, fits: str, task: str, others: Iterable[str] = ()) -> None:
        hint = f"; losses that fit: {', '.join(others)}" if others else ""
        super().__init__(f"loss {loss.rsplit('.', 1)[-1]} is for {fits}, but the data is for {task}{hint}")
        self.loss, self.fits, self.task = loss, fits, task

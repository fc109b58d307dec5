"""Wires the parts of a run by `_target_`: data, net, loss, optimizer and schedule, ours and anybody's alike."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from torch import nn

from bakeoff.data import DatasetDataModule, DataSpec, InMemoryDataModule
from bakeoff.data.module_labels import check_module_labels
from bakeoff.data.sample_checks import Labels
from bakeoff.errors import UserError
from bakeoff.module import build_optimizer, registered, trained_parameters
from bakeoff.module.counted import CountedLabels
from bakeoff.module.optimizer_mode import OptimizerMode
from bakeoff.module.weight_average import WeightAverage
from bakeoff.train.batch_norm import check_batch_norm
from bakeoff.train.budget import budget_of, steps_of
from bakeoff.train.check_examples import check_examples
from bakeoff.train.data_source import DataIdentity, load_data
from bakeoff.train.files_read import FilesRead, files_read
from bakeoff.train.instantiate import instantiate, one_line
from bakeoff.train.metrics import metrics_from
from bakeoff.train.net import NO_CLASSES, check_forward, net_from
from bakeoff.train.option_schedules import option_schedules_from
from bakeoff.train.own_module import own_module
from bakeoff.train.parts import Parts, SupervisedParts
from bakeoff.train.scheduler import SchedulerFactory, check_scheduler
from bakeoff.train.settings import Settings
from bakeoff.train.task import describe_task, kind_of_run, task_of
from bakeoff.train.try_steps import try_steps
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
    try_steps(parts)
    return parts, read


def _supervised(
    data: pl.LightningDataModule, spec: DataSpec, data_identity: DataIdentity, settings: Settings
) -> SupervisedParts:
    pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)  # a loss may draw, too
    loss = instantiate("loss", settings.loss)
    kind = kind_of_run(spec, loss, settings)
    pl.seed_everything(settings.seed_of_weights, workers=True, verbose=False)
    net, model = net_from(settings.model, spec)
    output, changes_input = check_forward(net, spec)
    if isinstance(data, InMemoryDataModule):
        data.copies = changes_input
    if spec.n_out is None:
        raise UserError(NO_CLASSES)
    task = task_of(net, output, spec, kind, settings.task.class_axis)
    takes_prediction = check_examples(net, output, loss, spec, task, settings.task.class_axis)
    check_batch_norm(net, spec, settings)
    loss = registered(loss, net)
    if not any(parameter.requires_grad for parameter in trained_parameters(net, loss)):
        raise UserError(
            f"model: {type(net).__name__} has no parameter that requires a gradient: nothing is to be trained"
        )
    optimizer, schedule, option_schedules = _update_from(settings, net, loss, spec)
    return SupervisedParts(
        data,
        data_identity,
        spec,
        net,
        model,
        kind,
        spec.n_out,
        loss=loss,
        optimizer=optimizer,
        param_groups=settings.param_groups,
        schedule=schedule,
        option_schedules=option_schedules,
        reads=task,
        loss_takes_prediction=takes_prediction,
        metrics=metrics_from(settings.metrics, task, loss),
        note=describe_task(task, output, spec.example_target),
    )


def _update_from(settings: Settings, net: nn.Module, loss: Any, spec: DataSpec) -> tuple[Any, Any, Any]:
    """The optimizer's factory, the schedule and the scheduled options, tried on an optimizer that is then dropped."""
    factory = optimizer_from(settings.optimizer, net, loss, settings.param_groups)
    made = build_optimizer(factory, net, loss, settings.param_groups)
    if settings.ema.decay is not None:
        _check_average(net, loss, settings.ema.decay)
        if OptimizerMode(made).switches:
            raise UserError(f"ema.decay: {settings.optimizer['_target_']} averages the weights itself; leave it out")
    schedule = schedule_from(settings.schedule)
    options = option_schedules_from(settings, made, schedule)
    if isinstance(schedule, SchedulerFactory):
        check_scheduler(schedule, made, budget_of(settings, spec))
    return factory, schedule, options


def _check_average(net: nn.Module, loss: Any, decay: float) -> None:
    try:
        WeightAverage(net, loss, decay)
    except Exception as error:  # what a user's class or function holds may not be made to be copied
        raise UserError(
            f"ema.decay: an average needs copies, and the model or the loss has none: {one_line(error)}; leave it out"
        ) from error


def _check_labels(data: pl.LightningDataModule, labels: Labels) -> None:
    if isinstance(data, DatasetDataModule | InMemoryDataModule):
        data.use_labels(labels)
    else:
        check_module_labels(data, labels)

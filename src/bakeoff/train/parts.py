"""Wires the parts of a run by `_target_`: data, net, loss, optimizer and schedule, ours and anybody's alike."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import hydra.utils
import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from bakeoff.data import DatasetDataModule, DataSpec, InMemoryDataModule
from bakeoff.data.sample_checks import Labels
from bakeoff.errors import UserError
from bakeoff.module import check_optimizer, registered, trained_parameters
from bakeoff.module.counted import CountedLabels
from bakeoff.train.batch_norm import check_batch_norm
from bakeoff.train.check_examples import check_examples
from bakeoff.train.data_source import DataIdentity, load_data
from bakeoff.train.instantiate import first_cause, instantiate, one_line
from bakeoff.train.settings import Settings

NO_CLASSES = "data: the number of classes is unknown; give your data class an attribute num_classes"
NUMBERS = ("lr", "weight_decay", "momentum", "dampening", "eps", "alpha")  # as torch calls them
TRIED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the budget: a schedule may have phases
FILLED_FROM_DATA = ("n_in", "n_out", "in_shape")


@dataclass
class Parts:
    """What one run is made of, wired and checked against each other. `model` is the node that builds the net again."""

    data: pl.LightningDataModule
    data_identity: DataIdentity
    spec: DataSpec
    net: nn.Module
    model: dict[str, Any]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    schedule: Callable[[float], float] | None
    task: str
    n_out: int

    @property
    def batches_are_ours(self) -> bool:
        """Whether we make the batches: a user's own data module makes them as it likes."""
        return isinstance(self.data, (InMemoryDataModule, DatasetDataModule))

    @property
    def drops_samples(self) -> bool:
        """Whether an epoch of ours leaves out the samples of an incomplete last batch."""
        return isinstance(self.data, (InMemoryDataModule, DatasetDataModule)) and self.data.n_dropped > 0


def build(settings: Settings) -> Parts:
    """Builds every part from its settings; the seed fixes the initial weights, whatever else was drawn before.

    Raises:
        UserError: a part cannot be built, or does not fit the data.

    """
    data, spec, data_identity = load_data(settings)
    pl.seed_everything(settings.seed, workers=True, verbose=False)  # a loss may draw, too
    loss = instantiate("loss", settings.loss)
    task = _task(spec, loss, settings)
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    net, model = _net(settings.model, spec)
    output = _check_forward(net, spec)
    if spec.n_out is None:
        raise UserError(NO_CLASSES if task == "classification" else _no_columns(spec))
    check_examples(net, output, loss, spec, task)
    if task == "classification" and isinstance(data, DatasetDataModule):
        data.use_labels(Labels(spec.n_out, CountedLabels(loss).ignored))
    check_batch_norm(net, spec, settings.batch_size)
    loss = registered(loss, net)
    optimizer = _optimizer(settings.optimizer, net, loss)
    schedule = _schedule(settings.schedule)
    return Parts(data, data_identity, spec, net, model, loss, optimizer, schedule, task, spec.n_out)


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


def _net(settings: Mapping[str, Any], spec: DataSpec) -> tuple[nn.Module, dict[str, Any]]:
    """The net, and its node with the arguments that are filled in from the data."""
    target = _locate("model", settings)
    _refuse_lightning_module(settings, target)
    filled = {name: getattr(spec, name) for name in _arguments_from_data(target) if name not in settings}
    unknown = [name for name, value in filled.items() if value is None]
    if unknown == ["n_out"]:
        raise UserError(_no_columns(spec) if spec.task == "regression" else NO_CLASSES)
    if unknown:
        raise UserError(f"model: {', '.join(unknown)} cannot be read from the data; give {unknown[0]} in the model")
    net = instantiate("model", settings, **filled)
    if not isinstance(net, nn.Module):
        raise UserError(f"model: {settings['_target_']} gave a {type(net).__name__}, not a torch.nn.Module")
    _refuse_lightning_module(settings, type(net))
    return net, {**settings, **{name: list(v) if isinstance(v, tuple) else v for name, v in filled.items()}}


def _refuse_lightning_module(settings: Mapping[str, Any], kind: Any) -> None:
    """By name, since `lightning` and `pytorch_lightning` have a class each."""
    if inspect.isclass(kind) and any(base.__name__ == "LightningModule" for base in kind.__mro__):
        raise UserError(
            f"model: {settings['_target_']} is a LightningModule, whose own training_step, optimizers and metrics are "
            "not used yet (a later version will); give model._target_= the class of the net that it trains, "
            "and choose loss and optimizer here"
        )


def _locate(part: str, settings: Mapping[str, Any]) -> Any:
    target = settings.get("_target_")
    try:
        return hydra.utils.get_object(str(target))
    except Exception as error:  # whatever a user's module raises on import
        raise UserError(f"{part}: cannot import {target}: {first_cause(error)}") from error


def _arguments_from_data(target: Any) -> list[str]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a builtin without a signature wants nothing from us
        return []
    return [name for name in FILLED_FROM_DATA if name in parameters]


def _check_forward(net: nn.Module, spec: DataSpec) -> Any:
    """Passes two examples through the net, which also gives lazy layers their sizes; returns its output."""
    if spec.example is None:
        return None
    training = {module: module.training for module in net.modules()}
    try:
        with torch.no_grad():
            output = net.eval()(spec.example)
    except Exception as error:  # whatever a user's forward raises
        shape = tuple(spec.example.shape[1:])
        name = type(net).__name__
        raise UserError(f"model: {name} does not take examples of shape {shape}: {one_line(error)}") from error
    for module, mode in training.items():  # one by one: a user may have frozen some
        module.training = mode
    return output


def _no_columns(spec: DataSpec) -> str:
    shape = tuple(spec.example_target.shape[1:]) if spec.example_target is not None else ()
    return f"data: a target of shape {shape} is not supported yet; regression needs a number or a row of numbers"


def _schedule(settings: Mapping[str, Any]) -> Any:
    """None for a constant learning rate: a scheduler that changes nothing would cost its call in every step."""
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


def _optimizer(settings: Mapping[str, Any], net: nn.Module, loss: Any) -> Any:
    factory = instantiate("optimizer", settings, partial=True)
    try:
        made = factory(trained_parameters(net, loss))
        check_optimizer(made, net, loss)
    except Exception as error:  # whatever a user's optimizer, or torch's on odd settings, raises
        raise UserError(f"optimizer: {one_line(error)}") from error
    for name in NUMBERS:  # torch takes true for 1 when it is built, and fails at the first step
        if isinstance(made.defaults.get(name), bool):
            raise UserError(f"optimizer.{name} must be a number, got {str(made.defaults[name]).lower()}")
    return factory

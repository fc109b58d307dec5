"""Builds the net of a run, with the arguments that are filled in from the data, and passes examples through it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import hydra.utils
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bakeoff.data import DataSpec
from bakeoff.data.batches import is_changed
from bakeoff.errors import UserError
from bakeoff.pairs import Inputs, call, map_inputs, tensors_of
from bakeoff.train.instantiate import first_cause, instantiate, one_line

NO_CLASSES = "data: the number of classes is unknown; give your data class an attribute num_classes"
FILLED_FROM_DATA = ("n_in", "n_out", "in_shape")


def net_from(settings: Mapping[str, Any], spec: DataSpec) -> tuple[nn.Module, dict[str, Any]]:
    """The net, and its node with the arguments that are filled in from the data."""
    target = locate("model", settings)
    _refuse_lightning_module(settings, target)
    wanted = [name for name in FILLED_FROM_DATA if name in arguments_of(target) and name not in settings]
    filled = filled_from_data("model", wanted, spec)
    net = instantiate("model", settings, **filled)
    if not isinstance(net, nn.Module):
        raise UserError(f"model: {settings['_target_']} gave a {type(net).__name__}, not a torch.nn.Module")
    _refuse_lightning_module(settings, type(net))
    return net, {**settings, **as_plain(filled)}


def _refuse_lightning_module(settings: Mapping[str, Any], kind: Any) -> None:
    """By name, since `lightning` and `pytorch_lightning` have a class each."""
    if inspect.isclass(kind) and any(base.__name__ == "LightningModule" for base in kind.__mro__):
        raise UserError(
            f"model: {settings['_target_']} is a LightningModule, with a training_step, optimizers and metrics of its "
            f"own: give it as module._target_={settings['_target_']}"
        )


def locate(part: str, settings: Mapping[str, Any]) -> Any:
    """The class or function that a part names.

    Raises:
        UserError: it cannot be imported.

    """
    target = settings.get("_target_")
    try:
        return hydra.utils.get_object(str(target))
    except Exception as error:  # whatever a user's module raises on import
        raise UserError(f"{part}: cannot import {target}: {first_cause(error)}") from error


def arguments_of(target: Any) -> Mapping[str, inspect.Parameter]:
    """The parameters of a class or a function by name; none of a builtin without a signature."""
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}


def filled_from_data(part: str, wanted: Iterable[str], spec: DataSpec) -> dict[str, Any]:
    """`n_in`, `n_out` and `in_shape`, as far as they are wanted.

    Raises:
        UserError: the data does not say one of them.

    """
    filled = {name: getattr(spec, name) for name in wanted}
    unknown = [name for name, value in filled.items() if value is None]
    if unknown == ["n_out"]:
        raise UserError(NO_CLASSES)
    if unknown:
        raise UserError(f"{part}: {', '.join(unknown)} cannot be read from the data; give {part}.{unknown[0]}=...")
    return filled


def as_plain(filled: Mapping[str, Any]) -> dict[str, Any]:
    """As in a configuration."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}


def check_forward(net: nn.Module, spec: DataSpec) -> tuple[Any, bool]:
    """Passes two examples through a copy of the net, or where it has lazy layers through it, which gives them sizes.

    Returns:
        its output, and whether it changes its input in place.

    """
    if spec.example is None:
        return None, False
    given = map_inputs(torch.clone, spec.example)
    tried = _copy(net)
    training = {module: module.training for module in tried.modules()}
    try:
        with torch.no_grad():
            output = call(tried.eval(), given)
    except Exception as error:  # whatever a user's forward raises
        name = type(net).__name__
        hint = _hint(net, spec)
        raise UserError(
            f"model: {name} does not take examples {_describe(spec.example)}: {one_line(error)}{hint}"
        ) from error
    for module, mode in training.items():  # one by one: a user may have frozen some
        module.training = mode
    return output, any(is_changed(tensor) for tensor in tensors_of(given))


def _copy(net: nn.Module) -> nn.Module:
    """A copy, whose state a forward pass may change; the net itself where it has lazy layers, or cannot be copied."""
    if any(is_lazy(tensor) for tensor in (*net.parameters(), *net.buffers())):
        return net
    try:
        return copy.deepcopy(net)
    except Exception:  # what a net holds may not be made to be copied
        return net


def _hint(net: nn.Module, spec: DataSpec) -> str:
    is_lookup = any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in net.modules())
    if not is_lookup or spec.input_mean is None:
        return ""
    return "; tokens must not be standardised: say data.standardise=false"


def _describe(example: Inputs) -> str:
    if isinstance(example, Tensor):
        return f"of shape {tuple(example.shape[1:])}"
    return f"with {', '.join(f'{name} {tuple(value.shape[1:])}' for name, value in example.items())}"

"""Arguments that are true or false get just that, and those that are numbers get no truth."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

import hydra.utils

from bakeoff.errors import UserError

KINDS = {"bool": bool, "int": int, "float": float}


def check_truth(part: str, settings: Mapping[str, Any]) -> None:
    """Refuses text and numbers for true and false, and true and false for numbers, in a part and what it holds.

    Python takes `no` and `off`, which are text to Hydra, for true, and true for the number 1.

    Raises:
        UserError: one of them is given.

    """
    kinds = _kinds(settings.get("_target_"))
    for name, value in settings.items():
        if isinstance(value, Mapping):
            check_truth(f"{part}.{name}", value)
        elif kinds.get(name) is bool and not isinstance(value, bool):
            raise UserError(f"{part}.{name} must be true or false, got {_as_typed(value)}")
        elif kinds.get(name) in (int, float) and isinstance(value, bool):
            raise UserError(f"{part}.{name} must be a number, got {_as_typed(value)}")
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                if isinstance(item, Mapping):
                    check_truth(f"{part}.{name}.{i}", item)


def _kinds(target: Any) -> dict[str, type]:
    """What the arguments of a class are annotated as, or have as default, where that is bool, int or float."""
    try:
        parameters = inspect.signature(hydra.utils.get_object(target)).parameters
    except Exception:  # no target, none that can be found, or a builtin without a signature: told when it is called
        return {}
    kinds = {name: _kind(parameter) for name, parameter in parameters.items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(parameter: inspect.Parameter) -> type | None:
    """What it is annotated as, if that is one kind alone; a number where that is `float | Tensor` and has one."""
    annotation = str(getattr(parameter.annotation, "__name__", parameter.annotation))
    if annotation in KINDS:
        return KINDS[annotation] if parameter.default is not None else None
    is_of_numbers = "float" in annotation or "int" in annotation
    if not is_of_numbers or any(other in annotation for other in ("bool", "None", "Optional", "Any")):
        return None
    return int if type(parameter.default) in (int, float) else None


def _as_typed(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)

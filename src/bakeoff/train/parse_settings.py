"""From the composed configuration to typed settings. What is missing, unknown or out of range is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bakeoff.errors import UserError, did_you_mean
from bakeoff.module.task import KINDS
from bakeoff.runs import override_values
from bakeoff.runs.execution import check_execution, check_locations
from bakeoff.train.check_ranges import check_ranges
from bakeoff.train.settings import (
    PARTS,
    UNITS,
    BudgetSettings,
    ClipSettings,
    EarlyStoppingSettings,
    EmaSettings,
    Settings,
    TaskSettings,
    TrainerSettings,
)
from bakeoff.train.unread_keys import refuse_unread_keys

GROUPS = (
    *PARTS,
    "budget",
    "trainer",
    "clip",
    "early_stopping",
    "callbacks",
    "metrics",
    "param_groups",
    "task",
    "ema",
    "schedules",
)
TYPED: Mapping[str, type[Any]] = {
    "budget": BudgetSettings,
    "clip": ClipSettings,
    "early_stopping": EarlyStoppingSettings,
    "ema": EmaSettings,
    "task": TaskSettings,
    "trainer": TrainerSettings,
}
EXAMPLES = {  # of groups whose keys are the user's own
    "callbacks": "callbacks.mine._target_=package.module.Class",
    "schedules": "schedules.weight_decay._target_=bakeoff.schedules.cosine",
}


def resolve_settings(config: DictConfig, overrides: Iterable[str]) -> Settings:
    """Resolves interpolations, and applies the two rules that only the command line can decide.

    A budget given on the command line clears the others. A `_target_` given on the command line clears the arguments
    that were meant for another class, except for those given on the command line too.

    Raises:
        UserError: a value is wrong, missing, or cannot be resolved; or a group has a key that nothing reads.

    """
    plain = _to_plain(config)
    for key in GROUPS:
        if not isinstance(plain.get(key), dict):
            raise UserError(
                f"{key} must be a group of settings, got {plain.get(key)}{_what_to_give(key, plain.get(key))}"
            )
    given = overridden_keys(overrides)
    _resolve_budget(plain["budget"], given, _choice("budget", overrides))
    for part in PARTS:
        if f"{part}._target_" in given:
            plain[part] = {k: v for k, v in plain[part].items() if k == "_partial_" or _is_given(f"{part}.{k}", given)}
    refuse_unread_keys(config)
    check_execution(plain)
    settings = _parse(plain)
    check_locations(plain, overrides)
    check_ranges(settings)
    return settings


def _what_to_give(key: str, value: Any) -> str:
    """Where a group is given a value."""
    if key == "task" and value in KINDS:
        return f"; give data.task={value}, or an attribute task='{value}' of a data set of your own"
    if key not in TYPED:
        return f"; give {EXAMPLES[key]}" if key in EXAMPLES else ""
    given = "..." if value is None else value
    return f"; give {' or '.join(f'{key}.{field.name}={given}' for field in fields(TYPED[key]))}"


def overridden_keys(overrides: Iterable[str]) -> set[str]:
    """The keys that a command line sets, without the `+` that adds one; those in a dictionary, too."""
    return set(override_values(_parse_overrides(overrides)))


def _is_given(key: str, given: set[str]) -> bool:
    """Whether the key, or one below it, is on the command line."""
    return key in given or any(other.startswith(f"{key}.") for other in given)


def _to_plain(config: DictConfig) -> dict[str, Any]:
    keys = [str(key) for key in config if key != "hydra"]
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise UserError(f"{key}{str(error).splitlines()[0]}; give {error.full_key or 'the key'}=...") from error
    return {str(key): value for key, value in dict(plain).items()}


def _parse(plain: Mapping[str, Any]) -> Settings:
    groups: dict[str, Any] = {name: _group(kind, name, plain[name]) for name, kind in TYPED.items()}
    missing = [field.name for field in fields(Settings) if field.name not in plain]
    if missing:
        raise UserError(f"{missing[0]} is missing; give {missing[0]}=...")
    read = {field.name: plain[field.name] for field in fields(Settings) if field.name not in groups}
    return Settings(**{**read, **groups})


def _group(kind: type[Any], name: str, values: Mapping[str, Any]) -> Any:
    known = [field.name for field in fields(kind)]
    for key in values:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise UserError(f"nothing reads {name}.{key}{hint}; in {name} there are {', '.join(known)}")
    missing = [key for key in known if key not in values]
    if missing:
        raise UserError(f"{name}.{missing[0]} is missing; give {name}.{missing[0]}=...")
    return kind(**values)


def _parse_overrides(overrides: Iterable[str]) -> tuple[Override, ...]:
    return _parse_once(tuple(overrides))


@lru_cache(maxsize=8)  # of one command, asked for several times
def _parse_once(overrides: tuple[str, ...]) -> tuple[Override, ...]:
    return tuple(OverridesParser.create().parse_overrides(list(overrides)))


def _choice(group: str, overrides: Iterable[str]) -> str | None:
    chosen = override_values(_parse_overrides(overrides)).get(group)
    return None if chosen is None else str(chosen)


def _resolve_budget(budget: dict[str, Any], given: set[str], choice: str | None) -> None:
    chosen = [unit for unit in UNITS if f"budget.{unit}" in given and budget.get(unit) is not None]
    if len(chosen) == 1:
        budget.update({unit: None for unit in UNITS if unit != chosen[0]})
    if choice in UNITS and budget.get(choice) is None and not chosen:
        raise UserError(f"budget={choice} is overruled by an experiment; give budget.{choice}=...")
    spent_in = [unit for unit in UNITS if budget.get(unit) is not None]
    if len(spent_in) != 1:
        found = ", ".join(f"budget.{unit}={budget[unit]}" for unit in spent_in) or "none"
        raise UserError(f"give one of {', '.join(f'budget.{u}' for u in UNITS)}; got {found}")

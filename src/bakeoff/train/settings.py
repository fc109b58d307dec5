"""From the composed configuration to plain settings; a value that is wrong by itself is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bakeoff.errors import UserError
from bakeoff.values import check_execution, positive, require, whole
from bakeoff.words import did_you_mean

BUDGETS = ("epochs", "steps", "samples", "seconds")
PARTS = ("data", "model", "loss", "optimizer", "schedule")
METRICS = {
    "classification": ("accuracy", "loss", "top5", "nll", "ece"),
    "regression": ("rmse", "loss", "mae", "r2"),
}
LARGEST_SEED = 2**32 - 1  # what NumPy takes
MAPPINGS = (*PARTS, "budget", "trainer", "clip", "early_stopping", "callbacks")
DEFAULT_METRIC = "val/accuracy"
LOGS = ("usual", "full")
CHECKPOINTS = ("none", "last", "best", "all")


def settle(config: DictConfig, overrides: Iterable[str]) -> dict[str, Any]:
    """Plain containers, interpolations resolved, with the two rules that only the command line can decide.

    A budget given on the command line clears the others. A `_target_` given on the command line clears the arguments
    that were meant for another class, except for those given on the command line too.

    Raises:
        UserError: a value is wrong, missing, or cannot be resolved.

    """
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, _keys(config)), resolve=True)
    except OmegaConfBaseException as error:
        place = f"{error.full_key}: " if error.full_key else ""
        raise UserError(f"{place}{str(error).splitlines()[0]}; give {error.full_key or 'the key'}=...") from error
    settings = {str(key): value for key, value in dict(plain).items()}
    for key in MAPPINGS:
        require(isinstance(settings.get(key), dict), key, "a group of settings", settings.get(key))
    given = given_keys(overrides)
    _settle_budget(settings["budget"], given, _choice("budget", overrides))
    for part in PARTS:
        if f"{part}._target_" in given:
            settings[part] = {k: v for k, v in settings[part].items() if f"{part}.{k}" in given or k == "_partial_"}
    check(settings)
    return settings


def given_keys(overrides: Iterable[str]) -> set[str]:
    """The keys that a command line sets, without the `+` that adds one."""
    return {override.get_key_element().lstrip("+") for override in _parse(overrides)}


def _keys(config: DictConfig) -> list[str]:
    return [str(key) for key in config if key != "hydra"]


def _parse(overrides: Iterable[str]) -> list[Any]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _choice(group: str, overrides: Iterable[str]) -> str | None:
    chosen = [str(o.value()) for o in _parse(overrides) if o.get_key_element() == group]
    return chosen[-1] if chosen else None


def _settle_budget(budget: dict[str, Any], given: set[str], choice: str | None) -> None:
    chosen = [unit for unit in BUDGETS if f"budget.{unit}" in given and budget.get(unit) is not None]
    if len(chosen) == 1:
        budget.update({unit: None for unit in BUDGETS if unit != chosen[0]})
    if choice in BUDGETS and budget.get(choice) is None and not chosen:
        raise UserError(f"budget={choice} is overruled by an experiment; give budget.{choice}=...")
    spent_in = [unit for unit in BUDGETS if budget.get(unit) is not None]
    if len(spent_in) != 1:
        found = ", ".join(f"budget.{unit}={budget[unit]}" for unit in spent_in) or "none"
        raise UserError(f"give one of {', '.join(f'budget.{u}' for u in BUDGETS)}; got {found}")


def check(settings: Mapping[str, Any]) -> None:
    """Refuses numbers out of range.

    Raises:
        UserError: names the key, the bound and the value given.

    """
    batch_size = settings["batch_size"]
    if batch_size != "full" and not whole(batch_size, 1):
        raise UserError(f'batch_size must be a whole number >= 1 or "full", got {batch_size}')
    seed, sweep, compiled = settings["seed"], settings["sweep"], settings["trainer"]["compile"]
    require(whole(seed, 0) and seed <= LARGEST_SEED, "seed", f"a whole number from 0 to {LARGEST_SEED}", seed)
    require(whole(sweep, 0) or _is_name(sweep), "sweep", "the name of one folder (root=... says where)", repr(sweep))
    require(isinstance(compiled, bool), "trainer.compile", "true or false", compiled)
    log = settings["log"]
    require(log in LOGS, "log", " or ".join(LOGS), f"{log}{did_you_mean(str(log), LOGS)}")
    kept = settings["checkpoints"]
    require(
        kept in CHECKPOINTS, "checkpoints", "none, last, best or all", f"{kept}{did_you_mean(str(kept), CHECKPOINTS)}"
    )
    check_execution(settings)
    every = settings["checkpoint_every"]
    require(positive(every) or every == 0, "checkpoint_every", "a number of seconds >= 0", every)
    min_delta = settings["early_stopping"]["min_delta"]
    require(positive(min_delta) or min_delta == 0, "early_stopping.min_delta", "a number >= 0", min_delta)
    for unit in BUDGETS:
        value = settings["budget"].get(unit)
        fits = value is None or (whole(value, 1) if unit in ("steps", "samples") else positive(value))
        kind = "a whole number >= 1" if unit in ("steps", "samples") else "a number > 0"
        require(fits, f"budget.{unit}", kind, value)
    _require_whole(settings, "trainer.log_every_n_steps")
    _require_whole(settings, "trainer.sample_every_n_steps")
    _require_positive_or_null(settings, "clip.norm")
    _require_positive_or_null(settings, "clip.value")
    if settings["clip"]["norm"] is not None and settings["clip"]["value"] is not None:
        raise UserError("give clip.norm or clip.value, not both")
    for key in ("budget.validations", "early_stopping.patience"):
        value = _get(settings, key)
        require(value is None or whole(value, 1), key, "a whole number >= 1 or null", value)


def check_metric(metric: Any, task: str, n_out: int) -> str:
    """The metric that arms are ranked by; the default stands for RMSE where the task is regression.

    Raises:
        UserError: no such validation metric; names those there are.

    """
    names = METRICS[task]
    if task == "regression" and metric == DEFAULT_METRIC:
        return f"val/{names[0]}"
    known = [f"val/{name}" for name in names if name != "top5" or n_out > 5]
    if metric in known:
        return str(metric)
    if str(metric).startswith("test/"):
        raise UserError(f"metric={metric}: test data chooses nothing; use one of {', '.join(known)}")
    raise UserError(f"unknown metric {metric}{did_you_mean(str(metric), known)}; there are {', '.join(known)}")


def _get(settings: Mapping[str, Any], key: str) -> Any:
    group, name = key.split(".")
    return settings[group].get(name)


def _require_whole(settings: Mapping[str, Any], key: str) -> None:
    require(whole(_get(settings, key), 1), key, "a whole number >= 1", _get(settings, key))


def _require_positive_or_null(settings: Mapping[str, Any], key: str) -> None:
    value = _get(settings, key)
    require(value is None or positive(value), key, "a number > 0 or null", value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")

"""What a command does, in this process: it trains, or is refused in one line; anything else is a fault."""

from __future__ import annotations

import inspect
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bakeoff.launch.explain import explain, is_users
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.train import RunSession, prepare, train_solo
from bakeoff.train.budget import Budget
from bakeoff.train.settings import BudgetSettings, ClipSettings, EarlyStoppingSettings, TrainerSettings

from .configurations import Command

MAX_STEPS = 3
TYPED = {
    "budget": BudgetSettings,
    "clip": ClipSettings,
    "early_stopping": EarlyStoppingSettings,
    "trainer": TrainerSettings,
}
PARTS = ("data", "model", "loss", "optimizer", "schedule")


class FaultFoundError(AssertionError):
    """The command, and what is wrong with what it does."""


def config_loader() -> ConfigLoader:
    """Composes configurations, as the application does; no Hydra of this process is left initialized."""
    register_with_hydra()
    with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


def perform(command: Command, loader: ConfigLoader, folder: Path) -> str:
    """`trained` or `refused`.

    Raises:
        FaultFoundError: neither; or it was accepted with a key that nothing reads, or refused in more than one line.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _train(command, loader, folder)
    except FaultFoundError:
        raise
    except Exception as error:
        if not is_users(error):
            raise FaultFoundError(f"{_words(command)}\nends in {type(error).__name__}: {error}") from error
        message = explain(error)
        if not message.strip() or "\n" in message or "Traceback" in message:
            raise FaultFoundError(f"{_words(command)}\nis refused in other than one line:\n{message}") from error
        return "refused"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _train(command: Command, loader: ConfigLoader, folder: Path) -> str:
    config = loader.load_configuration("bakeoff", list(command.overrides), run_mode=RunMode.RUN)
    HydraConfig.instance().set_config(config)
    run = prepare(config, list(config.hydra.overrides.task), loader)
    unread = [*_unread(config), *(key for key in command.invented if not _goes_to_any_keyword(config, key))]
    if unread:
        raise FaultFoundError(f"{_words(command)}\nis accepted, and nothing reads {', '.join(unread)}")
    run.budget = _short(run.budget)
    outcome = train_solo(RunSession(run, folder, threads=1))
    if outcome.status not in ("completed", "diverged"):
        raise FaultFoundError(f"{_words(command)}\nis accepted and {outcome.status}: {outcome.error}")
    return "trained"


def _short(budget: Budget) -> Budget:
    steps = min(budget.steps or MAX_STEPS, MAX_STEPS)
    return replace(budget, steps=steps, seconds=None, validations=min(budget.validations, steps))


def _unread(config: DictConfig) -> Iterator[str]:
    """Keys that no dataclass and no constructor names: found without asking the code under test."""
    for group, kind in TYPED.items():
        names = {field.name for field in fields(kind)}
        yield from (f"{group}.{key}" for key in config[group] if key not in names)
    for part in PARTS:
        taken = _parameters(config[part].get("_target_"))
        if taken is not None:
            keys = (str(key) for key in config[part])
            yield from (f"{part}.{key}" for key in keys if not key.startswith("_") and key not in taken)


def _parameters(target: str | None) -> set[str] | None:
    """Names of the arguments; None where it takes any."""
    if target is None:
        return set()
    parameters: Any = inspect.signature(hydra.utils.get_object(target)).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return None if takes_any else set(parameters)


def _goes_to_any_keyword(config: DictConfig, key: str) -> bool:
    part, _, name = key.partition(".")
    return bool(name) and part in PARTS and _parameters(config[part].get("_target_")) is None


def _words(command: Command) -> str:
    return f"bakeoff {' '.join(command.overrides)}"

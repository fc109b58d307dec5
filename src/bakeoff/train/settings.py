"""From the composed configuration to typed settings, parsed once. A value that is wrong by itself is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bakeoff.errors import UserError, did_you_mean, require
from bakeoff.runs import direction_of, find_metric, metric_names
from bakeoff.runs.execution import check_execution, is_positive, is_whole
from bakeoff.runs.metrics import Direction

UNITS = ("epochs", "steps", "samples", "seconds")
PARTS = ("data", "model", "loss", "optimizer", "schedule")
MAX_SEED = 2**32 - 1  # what NumPy takes
GROUPS = (*PARTS, "budget", "trainer", "clip", "early_stopping", "callbacks")
DEFAULT_METRIC = "val/accuracy"
RANKED_BY = {"classification": "val/accuracy", "regression": "val/rmse"}  # what the default metric stands for
LOGS = ("default", "full")
CHECKPOINTS = ("none", "last", "best", "all")

Node = Mapping[str, Any]  # a part: its `_target_` and the arguments of that
T = TypeVar("T")


@dataclass(frozen=True)
class BudgetSettings:
    """What a run may spend, in one of four units, and how many validations it makes (None: the default)."""

    epochs: float | None
    steps: int | None
    samples: int | None
    seconds: float | None
    validations: int | None


@dataclass(frozen=True)
class ClipSettings:
    """Gradient clipping by norm or by value; None for none."""

    norm: float | None
    value: float | None


@dataclass(frozen=True)
class EarlyStoppingSettings:
    """How many validations without a better metric end a run (None: any number), and by how much it must be better."""

    patience: int | None
    min_delta: float


@dataclass(frozen=True)
class TrainerSettings:
    """Device, precision and intervals of logging. `threads` None is torch's own choice."""

    accelerator: str
    precision: Any
    compile: bool
    threads: int | None
    log_every_n_steps: int
    sample_every_n_steps: int


@dataclass(frozen=True)
class Settings:
    """Everything that one run is configured by. Parts and callbacks stay configuration: Hydra builds them."""

    data: Node
    model: Node
    loss: Node
    optimizer: Node
    schedule: Node
    callbacks: Mapping[str, Node]
    batch_size: int | Literal["full"]
    seed: int
    metric: str
    metric_direction: str | None
    budget: BudgetSettings
    clip: ClipSettings
    early_stopping: EarlyStoppingSettings
    trainer: TrainerSettings
    root: str
    sweep: str
    retry: str | None
    dry_run: bool
    checkpoints: str
    checkpoint_every: float
    log: str

    def part(self, name: str) -> Node:
        """The configuration of one of `PARTS`."""
        node: Node = getattr(self, name)
        return node

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, as in the configuration."""
        return asdict(self)


def resolve_settings(config: DictConfig, overrides: Iterable[str]) -> Settings:
    """Resolves interpolations, and applies the two rules that only the command line can decide.

    A budget given on the command line clears the others. A `_target_` given on the command line clears the arguments
    that were meant for another class, except for those given on the command line too.

    Raises:
        UserError: a value is wrong, missing, or cannot be resolved; or a group has a key that nothing reads.

    """
    plain = _to_plain(config)
    for key in GROUPS:
        require(isinstance(plain.get(key), dict), key, "a group of settings", plain.get(key))
    given = overridden_keys(overrides)
    _resolve_budget(plain["budget"], given, _choice("budget", overrides))
    for part in PARTS:
        if f"{part}._target_" in given:
            plain[part] = {k: v for k, v in plain[part].items() if f"{part}.{k}" in given or k == "_partial_"}
    check_execution(plain)
    settings = _parse(plain)
    check(settings)
    return settings


def overridden_keys(overrides: Iterable[str]) -> set[str]:
    """The keys that a command line sets, without the `+` that adds one."""
    return {override.get_key_element().lstrip("+") for override in _parse_overrides(overrides)}


def _to_plain(config: DictConfig) -> dict[str, Any]:
    keys = [str(key) for key in config if key != "hydra"]
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise UserError(f"{key}{str(error).splitlines()[0]}; give {error.full_key or 'the key'}=...") from error
    return {str(key): value for key, value in dict(plain).items()}


def _parse(plain: Mapping[str, Any]) -> Settings:
    groups = {
        "budget": _group(BudgetSettings, "budget", plain["budget"]),
        "clip": _group(ClipSettings, "clip", plain["clip"]),
        "early_stopping": _group(EarlyStoppingSettings, "early_stopping", plain["early_stopping"]),
        "trainer": _group(TrainerSettings, "trainer", plain["trainer"]),
    }
    read = {field.name: plain[field.name] for field in fields(Settings) if field.name not in groups}
    return Settings(**{**read, **groups})


def _group(kind: type[T], name: str, values: Mapping[str, Any]) -> T:
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
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
    chosen = [str(o.value()) for o in _parse_overrides(overrides) if o.get_key_element() == group]
    return chosen[-1] if chosen else None


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


def check(settings: Settings) -> None:
    """Refuses values out of range.

    Raises:
        UserError: names the key, the bound and the value given.

    """
    batch_size, seed, sweep, trainer = settings.batch_size, settings.seed, settings.sweep, settings.trainer
    if batch_size != "full" and not is_whole(batch_size, 1):
        raise UserError(f'batch_size must be a whole number >= 1 or "full", got {batch_size}')
    require(is_whole(seed, 0) and seed <= MAX_SEED, "seed", f"a whole number from 0 to {MAX_SEED}", seed)
    is_folder_name = is_whole(sweep, 0) or _is_folder_name(sweep)
    require(is_folder_name, "sweep", "the name of one folder (root=... says where)", repr(sweep))
    require(isinstance(trainer.compile, bool), "trainer.compile", "true or false", trainer.compile)
    precision = trainer.precision
    require(precision is None or isinstance(precision, str | int), "trainer.precision", "a text or number", precision)
    require(isinstance(trainer.accelerator, str), "trainer.accelerator", "a text", trainer.accelerator)
    _require_choice("log", settings.log, LOGS)
    _require_choice("checkpoints", settings.checkpoints, CHECKPOINTS)
    every = settings.checkpoint_every
    require(is_positive(every) or every == 0, "checkpoint_every", "a number of seconds >= 0", every)
    min_delta = settings.early_stopping.min_delta
    require(is_positive(min_delta) or min_delta == 0, "early_stopping.min_delta", "a number >= 0", min_delta)
    _check_budget(settings.budget)
    for key, steps in (("log", trainer.log_every_n_steps), ("sample", trainer.sample_every_n_steps)):
        require(is_whole(steps, 1), f"trainer.{key}_every_n_steps", "a whole number >= 1", steps)
    clip = settings.clip
    for key, bound in (("norm", clip.norm), ("value", clip.value)):
        require(bound is None or is_positive(bound), f"clip.{key}", "a number > 0 or null", bound)
    if clip.norm is not None and clip.value is not None:
        raise UserError("give clip.norm or clip.value, not both")
    patience = settings.early_stopping.patience
    require(
        patience is None or is_whole(patience, 1), "early_stopping.patience", "a whole number >= 1 or null", patience
    )


def _check_budget(budget: BudgetSettings) -> None:
    for unit in UNITS:
        value, counted = getattr(budget, unit), unit in ("steps", "samples")
        fits = value is None or (is_whole(value, 1) if counted else is_positive(value))
        require(fits, f"budget.{unit}", "a whole number >= 1" if counted else "a number > 0", value)
    count = budget.validations
    require(count is None or is_whole(count, 1), "budget.validations", "a whole number >= 1 or null", count)


def resolve_metric(metric: Any, stated: str | None, task: str, n_out: int) -> tuple[str, Direction]:
    """The metric that arms are ranked by, and its direction. The default stands for RMSE where the task is regression.

    A metric of the user's own, which a callback of theirs logs, is taken with the direction that is stated for it.

    Raises:
        UserError: no such validation metric, or its direction is not known; names those there are.

    """
    if metric == DEFAULT_METRIC:
        metric = RANKED_BY[task]
    known = [f"val/{name}" for name in _in_ranking_order(task) if name != "top5" or n_out > 5]
    if metric in known:
        return str(metric), direction_of(metric, stated)
    if str(metric).startswith("test/"):
        raise UserError(f"metric={metric}: test data chooses nothing; use one of {', '.join(known)}")
    if stated is not None and str(metric).startswith("val/") and find_metric(str(metric)) is None:
        return str(metric), direction_of(str(metric), stated)
    hint = did_you_mean(str(metric), known)
    raise UserError(
        f"unknown metric {metric}{hint}; there are {', '.join(known)}; "
        "for one that your own code logs as val/..., say metric_direction=min or metric_direction=max"
    )


def _in_ranking_order(task: str) -> list[str]:
    """The one that arms are ranked by comes first."""
    default = RANKED_BY[task].removeprefix("val/")
    return [default, *(name for name in metric_names(task) if name != default)]


def _require_choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
    require(value in choices, key, expected, f"{value}{did_you_mean(str(value), choices)}")


def _is_folder_name(value: Any) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")

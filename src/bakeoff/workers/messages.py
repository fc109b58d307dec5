"""What the launcher of a sweep and its workers send each other. Imports no torch: the launcher needs none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from bakeoff.runs import Direction, Outcome, ReuseRule


@dataclass(frozen=True)
class WorkerContext:
    """What every worker gets once, at its start.

    `set_up` is what the application does in each process before it composes configurations, `explain` makes one line of
    an error; `threads` are those of a run whose settings give none; `reuse_rule` says which records are taken for the
    runs that are asked for; `configuration` is the hash of the configuration files; `folder` is where the command was
    given.
    """

    hydra: HydraContext
    config: DictConfig
    configuration: str
    set_up: Callable[[], None]
    explain: Callable[[BaseException], str]
    threads: int | None = None
    reuse_rule: ReuseRule = field(default_factory=ReuseRule)
    folder: str = field(default_factory=os.getcwd)


@dataclass(frozen=True)
class Job:
    """One run that is asked for: its number in the multirun, and its overrides."""

    number: int
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class BuiltRun:
    """A job whose run could be built. `config` is its pickled configuration, which the launcher never opens.

    `finished` is the status of a run that is not to be trained again: completed, diverged, or failed without `retry`.
    `before` is the record that the run had when it was built: one that is not that one is of this command's time.
    `decided_by` is what decides the result beside the settings, name -> hash; `assumed` says what is assumed unchanged
    where a record that is there is taken for this run, finished or to be resumed. `notes` are what a user is to know of
    how it was built. `first_step` says whether the first step fits into memory, where that was asked.
    """

    job: Job
    folder: str
    identity: str
    hyperparameters: Mapping[str, float | bool | str]
    metric: str
    direction: Direction
    config: bytes = field(repr=False)
    finished: str | None = None
    before: Outcome | None = field(default=None, repr=False)
    decided_by: Mapping[str, str] = field(default_factory=dict, repr=False)
    assumed: str | None = None
    notes: Sequence[str] = ()
    first_step: str | None = None


@dataclass(frozen=True)
class InvalidRun:
    """A job whose run cannot be built, and why."""

    job: Job
    message: str


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `status` is that of its record, or `elsewhere` for one that another live process trains.

    An interrupted run was either asked to stop, or `reason` says what stopped it, such as a full disk.
    """

    status: str
    objective: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class WorkerDied:
    """A worker died over its task; `how` says of what."""

    how: str


Task = Job | BuiltRun
Reply = BuiltRun | InvalidRun | RunResult | WorkerDied


def picklable(config: DictConfig) -> DictConfig:
    """The configuration, itself, as a worker can pickle it.

    Hydra imports its plugins anew in every process: the classes that type their settings are then not those that pickle
    finds under their names.
    """
    with read_write(config.hydra), open_dict(config.hydra):
        for plugin in ("sweeper", "launcher"):
            plain = OmegaConf.to_container(config.hydra[plugin], resolve=False, enum_to_str=True)
            config.hydra[plugin] = OmegaConf.create(plain)
    return config

"""Hydra's own sweeper composes every job, and writes, before the launcher looks; ours leaves both to our launcher."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bakeoff.launch.launcher import SweepLauncher


class ProductSweeper(Sweeper):
    """Every combination of the values between commas.

    Args:
        max_batch_size: runs that are given to the launcher together; None for all.
        params: overrides of every multirun, key -> values between commas.

    """

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, max_batch_size: int | None = None, params: Mapping[str, str] | None = None) -> None:
        self.max_batch_size, self.params = max_batch_size, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Called by Hydra. A command that is refused, or only asks what it would do, leaves nothing behind."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = parser.parse_overrides(arguments)
        keys = {override.get_key_element() for override in given}
        defaults = [f"{key}={value}" for key, value in self.params.items() if key not in keys]
        jobs = product([*parser.parse_overrides(defaults), *given])
        size = self.max_batch_size or len(jobs)
        if isinstance(self.launcher, SweepLauncher):
            return self._launch(self.launcher, jobs, len(jobs) if self.config.dry_run else size)
        return self._launch_elsewhere(jobs, size)

    def _launch(self, launcher: SweepLauncher, jobs: list[list[str]], size: int) -> list[Sequence[JobReturn]]:
        launcher.all_or_nothing = True
        try:
            return [launcher.launch(batch, initial_job_idx=number) for number, batch in _batches(jobs, size)]
        finally:
            launcher.close()

    def _launch_elsewhere(self, jobs: list[list[str]], size: int) -> list[Sequence[JobReturn]]:
        """As Hydra's own sweeper does."""
        sweep = Path(self.config.hydra.sweep.dir)
        sweep.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep / "multirun.yaml")
        returns = []
        for number, batch in _batches(jobs, size):
            self.validate_batch_is_legal(batch)
            returns.append(self.launcher.launch(batch, initial_job_idx=number))
            for result in returns[-1]:
                _ = result.return_value  # raises where the job failed
        return returns


def product(overrides: Iterable[Override]) -> list[list[str]]:
    """The overrides of each job: one value of each key, all combinations, the last key changing fastest.

    Of a key that is given twice the last value counts; but a dictionary only adds to what the key has, as it does in
    Hydra without a sweep: `optimizer=sgd,adam optimizer={lr: 0.1}`.

    Raises:
        HydraException: a key is given an interval, of which there is no end of values.

    """
    values: dict[object, list[str]] = {}
    for position, override in enumerate(overrides):
        key = override.get_key_element()
        values[(key, position) if _is_dictionary(override) else key] = list(_values(override))
    return [list(job) for job in itertools.product(*values.values())]


def _is_dictionary(override: Override) -> bool:
    value = override.value()
    return all(isinstance(item, Mapping) for item in (getattr(value, "list", None) or [value]))


def _values(override: Override) -> Iterator[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        yield f"{key}={override.get_value_element_as_str()}"
    elif override.is_discrete_sweep():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        kind = override.value_type.name if override.value_type else "it"
        raise HydraException(f"{key}: a sweep over every combination needs values between commas, not {kind}")


def _batches(jobs: list[list[str]], size: int) -> Iterator[tuple[int, list[list[str]]]]:
    return ((number, jobs[number : number + size]) for number in range(0, len(jobs), size))

"""The launcher of a sweep: refuses bad runs before the first one starts, then trains them in turn under one bar."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from tqdm import tqdm

from bakeoff.errors import UserError

if TYPE_CHECKING:
    from bakeoff.overview import Overview
    from bakeoff.tensorboard.hparams import Hyperparameter

MAX_ERRORS_SHOWN = 5


class SweepLauncher(Launcher):
    """Trains the runs of a sweep one after another in this process, so that what is imported is imported once."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self._overview: Overview | None = None  # one for all batches of a sweeper that proposes as it goes

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Trains one run for each list of overrides.

        Raises:
            UserError: some runs cannot be built; then none was started.

        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = [self._compose(overrides, initial_job_idx + i) for i, overrides in enumerate(job_overrides)]
        # a sweeper that proposes as it goes is not stopped in the middle of its search
        planned = refuse_bad(jobs) if initial_job_idx == 0 else []
        overview = self._overview = self._overview or self._begin(planned)
        statuses: Counter[str] = Counter()
        results = []
        with tqdm(jobs, unit="run", desc="bakeoff", dynamic_ncols=True, smoothing=0) as bar:
            for job in bar:
                result = self._run(job)
                statuses[_status(result)] += 1
                bar.set_postfix(statuses, refresh=False)
                results.append(result)
                overview.run_ended()
        return results

    def _begin(self, planned: Sequence[Mapping[str, Hyperparameter]]) -> Overview:
        from bakeoff.overview import Overview  # takes a second: only now, not in every Hydra application

        overview = Overview(Path(str(self.config.hydra.sweep.dir)), str(self.config.metric))
        overview.begin(planned)
        return overview

    def _compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        job = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(job):
            job.hydra.job.id = job.hydra.job.num = number
        return job

    def _run(self, job: DictConfig) -> JobReturn:
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=job,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def refuse_bad(jobs: Sequence[DictConfig]) -> list[dict[str, Hyperparameter]]:
    """Builds every run without training it; returns their hyperparameters.

    Raises:
        UserError: lists the runs that cannot be built, and why.

    """
    errors: dict[str, list[str]] = {}
    planned = []
    for job in jobs:
        try:
            planned.append(_hyperparameters_of(job))
        except UserError as error:
            errors.setdefault(str(error), []).append(" ".join(job.hydra.overrides.task))
    if len(errors) == 1 and len(next(iter(errors.values()))) == len(jobs):
        raise UserError(next(iter(errors)))
    if errors:
        bad = sum(len(runs) for runs in errors.values())
        lines = [f"  {error}\n    in {len(runs)}, such as: {runs[0]}" for error, runs in errors.items()]
        hidden = [f"  and {len(lines) - MAX_ERRORS_SHOWN} other errors"] if len(lines) > MAX_ERRORS_SHOWN else []
        found = "\n".join([*lines[:MAX_ERRORS_SHOWN], *hidden])
        raise UserError(f"{bad} of {len(jobs)} runs cannot be built; none was started:\n{found}")
    return planned


def _hyperparameters_of(job: DictConfig) -> dict[str, Hyperparameter]:
    from bakeoff.launch.task import prepare  # brings torch and Lightning

    with _hydra_config(job):
        return prepare(job, list(job.hydra.overrides.task)).hyperparameters


@contextmanager
def _hydra_config(job: DictConfig) -> Iterator[None]:
    """Lets `${hydra:...}` in a configuration see this job, as it will when the job runs."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(job)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def _status(result: JobReturn) -> str:
    assert result.hydra_cfg is not None
    try:
        record = json.loads((Path(result.hydra_cfg.hydra.runtime.output_dir) / "outcome.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "failed"
    return str(record.get("status"))

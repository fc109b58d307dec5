"""What a worker does with a job: composes and builds it, or trains it. Imports all that a run needs, once.

It knows nothing of how it is reached: `local`, `ray` and `slurm` bring the jobs and carry the answers.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, run_job, setup_globals
from omegaconf import DictConfig, open_dict

from bakeoff.errors import UserError
from bakeoff.launch.messages import Answer, Ended, Job, Prepared, Refused, Shared, Task, portable
from bakeoff.launch.once import done, record_refusal, train_once
from bakeoff.launch.task import prepare, refusal
from bakeoff.resolvers import register_resolvers
from bakeoff.runs import Outcome, objective
from bakeoff.train.stopping import Stopping


class Worker:
    """One process's share of a sweep."""

    def __init__(self, shared: Shared, stopping: Stopping) -> None:
        self._shared, self._stopping = shared, stopping
        version.setbase("1.3")  # as the application does
        os.chdir(shared.folder)
        if shared.folder not in sys.path:  # a user's own classes lie beside the command
            sys.path.append(shared.folder)
        Plugins.instance()
        setup_globals()
        register_resolvers()
        if not GlobalHydra.instance().is_initialized():  # a forked process has Hydra's as it was in its parent
            GlobalHydra.instance().initialize(Hydra("bakeoff", shared.context.config_loader))

    def perform(self, task: Task) -> Answer:
        """Composes and builds a job, or trains a prepared one. What goes wrong is an answer, never an exception."""
        if isinstance(task, Job):
            try:
                return self._prepare(task)
            except Exception as error:  # Hydra's and OmegaConf's own, and what a user's code raises on import
                return Refused(task, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        return self._train(task)

    def _prepare(self, job: Job) -> Prepared:
        config = self._shared.context.config_loader.load_sweep_config(self._shared.config, list(job.overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = job.number
        HydraConfig.instance().set_config(config)  # `${hydra:...}` sees this job, as it will when it is trained
        run = prepare(config, list(config.hydra.overrides.task))
        folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
        found = done(folder, run.identity, self._shared.retry)
        return Prepared(
            job,
            os.path.abspath(folder),
            run.identity,
            run.hyperparameters,
            run.metric,
            pickle.dumps(portable(config)),
            found.status if found else None,
        )

    def _train(self, prepared: Prepared) -> Ended:
        shared = self._shared
        ended = done(Path(prepared.folder), prepared.identity, shared.retry, shared.launched)
        if ended is not None:  # another worker has done it
            return _as_answer(ended, prepared.metric)
        config: DictConfig = pickle.loads(prepared.config)
        self._answer = Ended("failed")
        try:
            returned = run_job(
                hydra_context=self._shared.context,
                task_function=self._task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            if returned.status != JobStatus.COMPLETED:
                raise returned._return_value  # the property of that name would announce it, too
        except SystemExit:
            return Ended("interrupted")
        except OSError as error:
            return Ended("interrupted", reason=f"cannot write to {error.filename or prepared.folder}: {error.strerror}")
        except UserError as error:
            return Ended("failed", reason=str(error))
        return self._answer

    def _task(self, config: DictConfig) -> None:
        hydra = HydraConfig.get()
        folder, overrides = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
        try:
            run = prepare(config, overrides)
        except UserError as error:  # it could be built before: the data has gone, a file has changed
            record_refusal(folder, refusal(config.seed, overrides, str(error)))
            raise
        shared = self._shared
        outcome = train_once(
            run, folder, shared.configuration, self._stopping, launched=shared.launched, threads=shared.threads
        )
        self._answer = Ended("elsewhere") if outcome is None else _as_answer(outcome, run.metric)


def _as_answer(outcome: Outcome, metric: str) -> Ended:
    reason: str | None = None
    if outcome.error is not None:
        kind = "" if outcome.status == "interrupted" else f"{outcome.error['type']}: "
        reason = f"{kind}{outcome.error['message']}"
    return Ended(outcome.status, objective(outcome, metric), reason)

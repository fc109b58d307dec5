"""What a worker does with a task: composes and builds a run, or trains it. Imports all that a run needs, once.

It does not know how it is reached: `processes`, `ray` and `slurm` bring the tasks and carry the replies.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import env_override, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from bakeoff.errors import UserError
from bakeoff.runs import (
    Direction,
    Outcome,
    StopRequest,
    finished_outcome,
    finished_outcome_since,
    objective,
    resumable_outcome,
)
from bakeoff.train.error import was_stopped
from bakeoff.train.first_step import describe_first_step
from bakeoff.train.open_run import record_build_failure, train_if_unclaimed
from bakeoff.train.prepare import build_failure, prepare, run_folder, save_configuration
from bakeoff.train.recorded_metrics import check_recorded_metrics
from bakeoff.train.run import Run
from bakeoff.workers.messages import BuiltRun, InvalidRun, Job, Reply, RunResult, Task, WorkerContext, picklable


class Worker:
    """One process's part of a sweep."""

    _error: Exception | None
    _built: BuiltRun

    def __init__(self, context: WorkerContext, stop: StopRequest) -> None:
        self._context, self._stop = context, stop
        self._result, self._error = RunResult("failed"), None
        self._first_steps: dict[str, str] = {}  # identity with seed 0 -> what was found
        self._loader = context.hydra.config_loader
        version.setbase("1.3")  # as the application does
        os.chdir(context.folder)
        if context.folder not in sys.path:  # a user's own classes lie beside the command
            sys.path.append(context.folder)
        Plugins.instance()
        setup_globals()
        context.set_up()

    def perform(self, task: Task) -> Reply:
        """Composes and builds a job, or trains a built run. What goes wrong is a reply, never an exception."""
        if isinstance(task, Job):
            try:
                return self._build(task)
            except Exception as error:  # Hydra's and OmegaConf's own, and what a user's code raises on import
                return InvalidRun(task, self._context.explain(error))
        return self._train(task)

    def _build(self, job: Job) -> BuiltRun:
        config = self._loader.load_sweep_config(self._context.config, list(job.overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = job.number
        HydraConfig.instance().set_config(config)  # `${hydra:...}` sees this job, as it will when it is trained
        with read_write(config.hydra):  # resolved here, where the whole configuration is: Hydra sees only its own part
            environment: Any = OmegaConf.to_container(config.hydra.job.env_set, resolve=True)
            config.hydra.job.env_set = environment
        with env_override(environment):  # as Hydra does when it is trained
            run = prepare(config, list(config.hydra.overrides.task), self._loader)
        sweep = Path(str(config.hydra.sweep.dir))
        folder = run_folder(run, sweep / str(config.hydra.sweep.subdir))
        with read_write(config.hydra):
            config.hydra.sweep.subdir = os.path.relpath(folder, sweep)
        reuse_rule = self._context.reuse_rule
        before = Outcome.read(folder)  # first: what comes after it is of this command's time
        finished = finished_outcome(folder, run.identity, reuse_rule)
        is_reused = finished is not None or resumable_outcome(folder, run.identity, reuse_rule) is not None
        if is_reused:
            check_recorded_metrics(folder, run.settings.metrics)
        return BuiltRun(
            job,
            str(folder),
            run.identity,
            run.hyperparameters,
            run.metric,
            run.direction,
            pickle.dumps(picklable(config)),
            finished.status if finished else None,
            before,
            run.decided_by,
            run.assumed if is_reused else None,
            run.notes,
            self._first_step(run) if run.settings.dry_run == "memory" and finished is None else None,
        )

    def _first_step(self, run: Run) -> str:
        """Tried once for runs that differ in their seed alone."""
        key = run.identity_with(0)
        if key not in self._first_steps:
            self._first_steps[key] = describe_first_step(run)
        return self._first_steps[key]

    def _train(self, built: BuiltRun) -> RunResult:
        context = self._context
        finished = finished_outcome_since(Path(built.folder), built.identity, context.reuse_rule, built.before)
        if finished is not None:  # another worker has trained it
            return _as_result(finished, built.metric, built.direction)
        config: DictConfig = pickle.loads(built.config)
        self._built, self._result, self._error = built, RunResult("failed"), None
        try:
            run_job(
                hydra_context=context.hydra,
                task_function=self._task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            if self._error is not None:
                raise self._error  # `run_job` caught it; what it returns would print it, too
        except SystemExit:
            return RunResult("interrupted")
        except OSError as error:
            return RunResult(
                "interrupted", reason=f"cannot write to {error.filename or built.folder}: {error.strerror}"
            )
        except UserError as error:
            return RunResult("failed", reason=str(error))
        except Exception as error:  # whatever it is: a worker's process is not one run's alone
            return RunResult("failed", reason=f"{type(error).__name__}: {error}")
        return self._result

    def _task(self, config: DictConfig) -> None:
        try:
            self._train_composed(config)
        except Exception as error:
            self._error = error
            raise

    def _train_composed(self, config: DictConfig) -> None:
        hydra = HydraConfig.get()
        folder, overrides = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
        try:
            run = prepare(config, overrides, self._loader)
            self._refuse_changed(run)
        except UserError as error:  # it could be built before: the data has gone, a file has changed
            failure = build_failure(config.seed, overrides, str(error))
            record_build_failure(folder, failure, lambda: save_configuration(folder, config))
            raise
        context = self._context
        outcome = train_if_unclaimed(
            run,
            folder,
            context.configuration,
            self._stop,
            save_configuration=lambda: save_configuration(folder, config),
            reuse_rule=context.reuse_rule,
            before=self._built.before,
            threads=context.threads,
        )
        self._result = RunResult("elsewhere") if outcome is None else _as_result(outcome, run.metric, run.direction)

    def _refuse_changed(self, run: Run) -> None:
        """A worker that was started later has imported what is there now, which may not be what the others have."""
        before, now = self._built.decided_by, run.decided_by
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if changed:
            made = " (or is another each time it is made: seed what it draws)" if "the data" in changed else ""
            raise UserError(f"{', '.join(changed)} changed{made} after the sweep was begun; run the command again")


def _as_result(outcome: Outcome, metric: str, direction: Direction) -> RunResult:
    reason: str | None = None
    if outcome.error is not None and not was_stopped(outcome):
        kind = "" if outcome.status == "interrupted" else f"{outcome.error['type']}: "
        reason = f"{kind}{outcome.error['message']}"
    return RunResult(outcome.status, objective(outcome, metric, direction), reason)

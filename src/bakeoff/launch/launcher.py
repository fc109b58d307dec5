"""The launcher of a sweep: finds out what is missing, spreads it over workers, and prints what became of it.

Its process imports no torch: workers do. What is finished is known from the records of the runs, and nothing else.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bakeoff.errors import USAGE_STATUS, UserError
from bakeoff.launch.console import (
    STOPPING,
    print_assumed,
    print_duplicates,
    print_finished,
    print_not_kept,
    print_notes,
    print_stopped,
    print_unrecorded,
)
from bakeoff.launch.dry_run import describe
from bakeoff.launch.explain import explain_any
from bakeoff.launch.kept import not_kept
from bakeoff.launch.plan import Plan, plan, raise_if_invalid
from bakeoff.launch.progress import SweepProgress, preparing_bar
from bakeoff.launch.record_unrecorded import record_unrecorded
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.result import STOPPED_BY_SIGNAL, SweepResult
from bakeoff.runs import Direction, Outcome, ReuseRule, direction_of, objective
from bakeoff.runs.execution import check_execution, is_whole
from bakeoff.runs.fingerprint import configuration_hash
from bakeoff.runs.metrics import worst
from bakeoff.workers import Backend, BuiltRun, Job, Resources, RunResult, WorkerContext

if TYPE_CHECKING:
    from bakeoff.overview import Overview


class SweepLauncher(Launcher):
    """Trains the missing runs of a sweep in worker processes.

    Args:
        backend: where they are: makes a `bakeoff.workers.Backend` from a `WorkerContext` and `Resources`.

    """

    def __init__(self, backend: Callable[[WorkerContext, Resources], Backend]) -> None:
        self.all_or_nothing = False  # a sweeper that proposes one batch after the other may propose what is invalid
        self.result = SweepResult()  # of all batches of the sweeper
        self._make_backend, self._backend = backend, None
        self._overview: Overview | None = None
        self._ranking: tuple[str, Direction] | None = None  # metric and direction of its runs, as far as is known

    _backend: Backend | None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        check_execution(config)
        self._reuse_rule = ReuseRule(config.retry, config.reuse)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Gets one run trained for each list of overrides; what is finished is not trained again.

        Raises:
            UserError: runs cannot be built, and then none was started; or a setting of the execution makes no sense.
            SystemExit: stopped from outside; or a dry run.

        """
        setup_globals()
        check_execution(self.config)
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = [Job(initial_job_idx + i, tuple(filter_overrides(o))) for i, o in enumerate(job_overrides)]
        sweep = Path(str(self.config.hydra.sweep.dir))
        search_path = self.hydra_context.config_loader.get_search_path()
        configuration = configuration_hash(search_path, self.config.hydra.searchpath)
        backend = self._backend = self._backend or self._start_backend(len(jobs), configuration)
        try:
            planned = self._plan(jobs, sweep, configuration, backend)
            print_duplicates(jobs, planned.duplicate_of)
            print_notes(planned.notes())
            if self.config.dry_run:
                backend.close()
                print_assumed(planned.assumed())
                print_not_kept(not_kept(planned.asked_of_finished()))
                print(describe(planned, sweep, backend.workers, self._reuse_rule))
                raise SystemExit(USAGE_STATUS if planned.invalid else 0)
            if initial_job_idx == 0:
                if self.all_or_nothing or len(planned.invalid) == len(jobs):
                    raise_if_invalid(planned)
                self._refuse_wrong_direction()
            ended = self._train(planned, sweep, backend)
        except KeyboardInterrupt:  # nothing is being trained yet, or it was pressed twice
            backend.kill()
            backend.close()
            raise
        except BaseException:
            backend.close()
            raise
        return [self._return_of(job, planned, ended) for job in jobs]

    def close(self) -> None:
        """Shuts down the workers: the sweep has ended."""
        if self._backend is not None:
            self._backend.close()
            atexit.unregister(self._backend.close)
            self._backend = None

    def _start_backend(self, runs: int, configuration: str) -> Backend:
        trainer = self.config.get("trainer") or {}  # without it no run can be built, which will be said
        context = WorkerContext(
            self.hydra_context,
            self.config,
            configuration,
            register_with_hydra,
            partial(explain_any, loader=self.hydra_context.config_loader),
            reuse_rule=self._reuse_rule,
        )
        accelerator = str(trainer.get("accelerator", "auto"))
        devices: Any = trainer.get("devices")
        resources = Resources(
            self.config.workers,
            runs,
            trainer.get("threads"),
            accelerator,
            devices if is_whole(devices, 1) else 1,  # else each run says what is wrong with it
        )
        backend = self._make_backend(context, resources)
        # a sweeper that does not know us does not close us; registered now, it comes before Python waits for processes
        atexit.register(backend.close)
        return backend

    def _plan(self, jobs: Sequence[Job], sweep: Path, configuration: str, backend: Backend) -> Plan:
        with preparing_bar(len(jobs)) as bar:

            def on_built(built: int, total: int) -> None:
                bar.total = total
                bar.update(built - bar.n)

            planned = plan(jobs, sweep, configuration, self._reuse_rule, backend.pool, on_built)
        self._ranking = next(_rankings(planned), self._ranking)
        return planned

    def _train(self, planned: Plan, sweep: Path, backend: Backend) -> dict[int, RunResult]:
        finished, missing = planned.finished(), planned.to_train()
        self.result.failed.update(_failed_folders(planned))
        self._share_result()
        ended = {number: self._fail(invalid.job, invalid.message) for number, invalid in planned.invalid.items()}
        print_assumed(planned.assumed())
        print_not_kept(not_kept(planned.asked_of_finished()))
        if not missing:
            print_finished(finished.values())
            return ended
        overview = self._overview = self._overview or self._start_overview(sweep, planned)
        progress = SweepProgress(len(missing) + len(finished), Counter(finished.values()))

        def on_end(run: BuiltRun, result: RunResult) -> None:
            ended[run.job.number] = result
            if result.status == "failed":
                self.result.failed.add(run.folder)
                record_unrecorded(run, result)
                print_unrecorded(run, result)
            progress.run_ended(result.status)
            overview.run_ended()

        execution = backend.execution(missing, fail_fast=bool(self.config.fail_fast), on_end=on_end)
        with _signals(backend) as received:
            for _ in execution.run():
                if received:
                    execution.stop(STOPPED_BY_SIGNAL)
                progress.refresh(execution.running)
        progress.close()
        overview.update()
        print_finished(finished.values())
        if execution.stopped is not None:
            self.result.stopped = execution.stopped
            counts = Counter(result.status for result in ended.values())
            print_stopped(execution.stopped, counts, len(missing) - counts.total(), len(finished))
            raise SystemExit(self.result.exit_status)  # past any sweeper, which would propose the next batch
        return ended

    def _share_result(self) -> None:
        """With the callback that ends the process: Hydra passes nothing from a launcher to callbacks."""
        for callback in self.hydra_context.callbacks.callbacks:
            if hasattr(callback, "sweep_result"):
                callback.sweep_result = self.result

    def _start_overview(self, sweep: Path, planned: Plan) -> Overview:
        from bakeoff.overview import Overview  # takes a second: only now, not in every Hydra application

        sweep.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep / "multirun.yaml")  # as Hydra's own sweepers do
        overview = Overview(sweep, str(self.config.metric))
        overview.begin([run.hyperparameters for run in planned.built.values()])
        return overview

    def _fail(self, job: Job, message: str) -> RunResult:
        """In the middle of a search: a run that cannot be built is one that failed."""
        sys.stderr.write(f"bakeoff: {message}\n    in {' '.join(job.overrides)}\n")
        return RunResult("failed", worst(self._known_ranking()[1]), message)

    def _known_ranking(self) -> tuple[str, Direction]:
        if self._ranking is not None:
            return self._ranking
        metric = str(self.config.metric)
        return metric, direction_of(metric, self.config.metric_direction)

    def _refuse_wrong_direction(self) -> None:
        """Optuna minimizes unless it is told not to: nobody wants a study of the worst accuracy."""
        direction = self.config.hydra.sweeper.get("direction")
        given = str(getattr(direction, "name", direction))
        if self._ranking is None or given not in ("minimize", "maximize"):
            return
        metric, right = self._ranking[0], f"{self._ranking[1]}imize"
        if given != right:
            key = "hydra.sweeper.direction"
            raise UserError(f"{key}={given} would look for the worst {metric}; give {key}={right}")

    def _return_of(self, job: Job, planned: Plan, ended: Mapping[int, RunResult]) -> JobReturn:
        number = planned.duplicate_of.get(job.number, job.number)
        if number in ended:
            value = ended[number].objective
        elif number in planned.known:
            known = planned.known[number].outcome
            value = objective(known, *(_ranking_of(known) or self._known_ranking()))
        else:
            built = planned.built[number]
            outcome = Outcome.read(Path(built.folder))
            value = objective(outcome, built.metric, built.direction) if outcome is not None else None
        returned = JobReturn(list(job.overrides), task_name="bakeoff", working_dir=os.getcwd())
        returned.status, returned.return_value = JobStatus.COMPLETED, value
        return returned


def _rankings(planned: Plan) -> Iterator[tuple[str, Direction]]:
    yield from ((run.metric, run.direction) for run in planned.built.values())
    yield from (ranking for run in planned.known.values() if (ranking := _ranking_of(run.outcome)))


def _ranking_of(outcome: Outcome) -> tuple[str, Direction] | None:
    fingerprint: Mapping[str, Any] = outcome.fingerprint or {}
    return (fingerprint["metric"], fingerprint["direction"]) if "direction" in fingerprint else None


def _failed_folders(planned: Plan) -> Iterator[str]:
    yield from (run.folder for run in planned.known.values() if run.outcome.status == "failed")
    yield from (run.folder for run in planned.built.values() if run.finished == "failed")


@contextmanager
def _signals(backend: Backend) -> Iterator[list[int]]:
    """Gives a list of signals that came: Ctrl-C, or a scheduler's SIGTERM. The second one stops immediately."""
    received: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        if received:
            backend.kill()
            raise KeyboardInterrupt
        received.append(number)  # no more: what was interrupted here may be half done
        os.write(2, STOPPING)  # past Python's own buffer, in which a line may be half written

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

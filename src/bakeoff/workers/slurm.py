"""Workers as Slurm jobs, through submitit. Each gets the whole list and trains what no other has leased.

What a worker may train is decided by the leases in the folders of the runs, which all machines must see under one path;
the launcher only watches. So jobs may start when Slurm lets them, and continue when the launcher has ended.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib

from bakeoff.errors import UserError
from bakeoff.runs import Outcome, objective
from bakeoff.runs.lease import is_leased
from bakeoff.workers.messages import BuiltRun, RunResult, WorkerContext
from bakeoff.workers.pool import OnEnd, Resources
from bakeoff.workers.processes import ProcessPool
from bakeoff.workers.scheduler import RunScheduler

CHECK_INTERVAL = 2.0  # seconds between two looks at the records of the runs
WAIT_INTERVAL = 0.2  # seconds between two looks at the states of the Slurm jobs
MISSING = "hydra/launcher=bakeoff_slurm needs submitit, which is not installed: pip install 'bakeoff[slurm]'"
HOW_MANY = "hydra/launcher=bakeoff_slurm cannot know how many Slurm jobs you want: give workers=N"
NO_SLURM = (
    "no Slurm is found here (there is no srun): give the command where you would give sbatch; "
    "hydra.launcher.backend.cluster=local tries it on this machine alone"
)
END_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)  # of Slurm before it kills a job: at its time limit, or to preempt it


def run_slurm_job(context: WorkerContext, runs: Sequence[BuiltRun], stop: str) -> int:
    """What one Slurm job does: trains what is not finished and not leased; returns how many runs it saw ending.

    `stop` is a file that the launcher makes to stop everything.
    """
    ended: list[BuiltRun] = []
    pool = ProcessPool(context, 1)
    scheduler = RunScheduler(pool, runs, fail_fast=False, on_end=lambda run, _: ended.append(run))
    received: list[int] = []
    for number in END_SIGNALS:  # past submitit's own handlers, which would ignore the one and requeue at the other
        signal.signal(number, lambda number, _: received.append(number))
    try:
        for _ in scheduler.run():
            if received or os.path.exists(stop):
                scheduler.stop("stopped")
    finally:
        pool.close()
    return len(ended)


class SlurmExecution:
    """Watches the records of runs while Slurm jobs train them; see `SweepExecution`."""

    def __init__(
        self,
        executor: Any,
        context: WorkerContext,
        workers: int,
        runs: Sequence[BuiltRun],
        fail_fast: bool,
        on_end: OnEnd,
    ) -> None:
        self._executor, self._context, self._workers = executor, context, workers
        self._missing = {run.job.number: run for run in runs}
        self._fail_fast, self._on_end = fail_fast, on_end
        self._stop = Path(executor.folder) / f"stop-{uuid.uuid4().hex[:8]}"
        self._jobs: list[Any] = []
        self._checked = 0.0
        self.stopped: str | None = None

    @property
    def running(self) -> list[BuiltRun]:
        """See `SweepExecution`."""
        return [run for run in self._missing.values() if is_leased(Path(run.folder))]

    def run(self) -> Iterator[None]:
        """See `SweepExecution`."""
        while self._missing and self.stopped is None:
            before = len(self._missing)
            self._submit()
            while not self._all_ended():
                self._check()
                yield
                time.sleep(WAIT_INTERVAL)
            self._check(now=True)
            if len(self._missing) == before and self.stopped is None:
                self.stop(f"no run ended while the Slurm jobs ran; their logs are in {self._executor.folder}")
        while not self._all_ended():
            yield
            time.sleep(WAIT_INTERVAL)
        self._check(now=True)
        self._stop.unlink(missing_ok=True)

    def stop(self, why: str) -> None:
        """See `SweepExecution`."""
        if self.stopped is None:
            self.stopped = why
            self._stop.touch()
            for job in self._jobs:
                if job.state == "PENDING":
                    job.cancel()

    def kill(self) -> None:
        """Cancels all jobs."""
        for job in self._jobs:
            job.cancel()

    def _submit(self) -> None:
        runs = list(self._missing.values())
        workers = min(self._workers, len(runs))
        starts = [len(runs) * worker // workers for worker in range(workers)]  # each starts with another run
        lists = [runs[start:] + runs[:start] for start in starts]
        with self._executor.batch():
            self._jobs = [self._executor.submit(run_slurm_job, self._context, some, str(self._stop)) for some in lists]

    def _all_ended(self) -> bool:
        return not self._missing or all(job.done(force_check=True) for job in self._jobs)

    def _check(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._checked < CHECK_INTERVAL:
            return
        self._checked = time.monotonic()
        for number, run in list(self._missing.items()):
            outcome = Outcome.read(Path(run.folder))
            if outcome is None or not self._has_ended(outcome, run):
                continue
            del self._missing[number]
            reason = f"{outcome.error['type']}: {outcome.error['message']}" if outcome.error else None
            self._on_end(run, RunResult(outcome.status, objective(outcome, run.metric, run.direction), reason))
            if outcome.status == "failed" and self._fail_fast:
                self.stop(f"fail_fast=true, and a run failed: {reason}")

    def _has_ended(self, outcome: Outcome, run: BuiltRun) -> bool:
        reuse_rule = replace(self._context.reuse_rule, retry="failed")  # a failure from before is no end
        return outcome.identity == run.identity and reuse_rule.is_finished_since(outcome, run.before)


class SlurmBackend:
    """Slurm jobs that train; runs are built in processes of this machine. See `Backend`.

    Args:
        context: what every worker gets.
        resources: what the sweep asks for.
        cluster: as in submitit's `AutoExecutor`: `slurm`, or `local` to try it here.
        folder: where submitit keeps its files; by default `.submitit` in the sweep's folder.
        parameters: submitit's others, such as `slurm_partition` or `timeout_min`; null leaves one to submitit.

    """

    def __init__(
        self,
        context: WorkerContext,
        resources: Resources,
        *,
        cluster: str = "slurm",
        folder: str | None = None,
        **parameters: Any,
    ) -> None:
        if resources.workers == "auto":
            raise UserError(HOW_MANY)
        given = {key: value for key, value in parameters.items() if value is not None}
        given = {"name": "bakeoff", "cpus_per_task": (resources.threads or 1) * resources.devices, **given}
        self.workers = resources.count_workers(cores=1, gpus=0)
        threads = max(1, int(given["cpus_per_task"]) // resources.devices)
        self._context = replace(context, threads=resources.threads or threads)
        sweep = Path(str(context.config.hydra.sweep.dir)).absolute()
        self._executor = _executor(cluster, Path(folder) if folder else sweep / ".submitit", given)
        self._pool: ProcessPool | None = None
        self._execution: SlurmExecution | None = None

    def pool(self, tasks: int) -> ProcessPool:
        """See `Backend`."""
        if self._pool is None:
            self._pool = ProcessPool(self._context, max(1, min(joblib.cpu_count(), tasks)))
        return self._pool

    def execution(self, runs: Sequence[BuiltRun], *, fail_fast: bool, on_end: OnEnd) -> SlurmExecution:
        """See `Backend`."""
        self.close()
        self._execution = SlurmExecution(self._executor, self._context, self.workers, runs, fail_fast, on_end)
        return self._execution

    def kill(self) -> None:
        """See `Backend`."""
        if self._pool is not None:
            self._pool.kill()
        if self._execution is not None:
            self._execution.kill()

    def close(self) -> None:
        """See `Backend`; the Slurm jobs stay, since they are Slurm's."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _executor(cluster: str, folder: Path, parameters: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError(MISSING) from error
    if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise UserError(NO_SLURM)
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**parameters)
    except Exception as error:  # an unknown cluster or parameter: submitit has no class of its own for it
        raise UserError(f"hydra.launcher.backend: {str(error).splitlines()[0]}") from error
    return executor

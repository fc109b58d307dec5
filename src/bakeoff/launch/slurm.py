"""Workers as Slurm jobs, through submitit. Each is given the whole list and takes what nobody has taken.

What a worker may train is settled by the claims in the folders of the runs, which all machines must see under one
path; the launcher only looks on. So jobs may come when Slurm lets them, and go on when the launcher is gone.
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
from bakeoff.launch.engines import OnEnd
from bakeoff.launch.local import LocalPool
from bakeoff.launch.messages import Ended, Prepared, Shared
from bakeoff.launch.training import Training
from bakeoff.runs import ENDED, Outcome, claim, objective

LOOK = 2.0  # seconds between two looks at the runs
TICK = 0.2
MISSING = "hydra.launcher.engine=submitit needs submitit, which is not installed: pip install 'bakeoff[slurm]'"
HOW_MANY = "hydra.launcher.engine=submitit cannot know how many Slurm jobs you want: give workers=N"
NO_SLURM = (
    "no Slurm is found here (there is no srun): give the command where you would give sbatch; "
    "hydra.launcher.submitit.cluster=local tries it on this machine alone"
)
END = (signal.SIGTERM, signal.SIGUSR2)  # of Slurm, before it kills a job: at its time limit, or for another's sake


def work_through(shared: Shared, runs: Sequence[Prepared], stop: str) -> int:
    """What one Slurm job does: trains what is not done and not taken; returns how many runs it saw ending.

    `stop` is a file that the launcher makes to end it all.
    """
    ended: list[Prepared] = []
    pool = LocalPool(shared, 1)
    training = Training(pool, runs, fail_fast=False, ended=lambda run, _: ended.append(run))
    told: list[int] = []
    for number in END:  # past submitit's own handlers, which would pass over the one and requeue at the other
        signal.signal(number, lambda number, _: told.append(number))
    try:
        for _ in training.run():
            if told or os.path.exists(stop):
                training.stop("stopped")
    finally:
        pool.close()
    return len(ended)


class SlurmTraining:
    """Looks on while Slurm jobs train; as `Training`, from afar."""

    def __init__(
        self, executor: Any, shared: Shared, workers: int, runs: Sequence[Prepared], fail_fast: bool, ended: OnEnd
    ) -> None:
        self._executor, self._shared, self._workers = executor, shared, workers
        self._missing = {run.job.number: run for run in runs}
        self._fail_fast, self._ended = fail_fast, ended
        self._stop = Path(executor.folder) / f"stop-{uuid.uuid4().hex[:8]}"
        self._jobs: list[Any] = []
        self._looked = 0.0
        self.stopped: str | None = None

    @property
    def running(self) -> list[Prepared]:
        """What some live process trains."""
        return [run for run in self._missing.values() if claim.is_claimed(Path(run.folder))]

    def run(self) -> Iterator[None]:
        """Looks on until all is done or stopped; yields often."""
        while self._missing and self.stopped is None:
            before = len(self._missing)
            self._submit()
            while not self._all_gone():
                self._look()
                yield
                time.sleep(TICK)
            self._look(at_once=True)
            if len(self._missing) == before and self.stopped is None:
                self.stop(f"no run ended while the Slurm jobs were there; their logs are in {self._executor.folder}")
        while not self._all_gone():
            yield
            time.sleep(TICK)
        self._look(at_once=True)
        self._stop.unlink(missing_ok=True)

    def stop(self, why: str) -> None:
        """Begins nothing more, and asks what is being trained to come to rest."""
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
        starts = [len(runs) * worker // workers for worker in range(workers)]  # each begins at another place
        lists = [runs[start:] + runs[:start] for start in starts]
        with self._executor.batch():
            self._jobs = [self._executor.submit(work_through, self._shared, some, str(self._stop)) for some in lists]

    def _all_gone(self) -> bool:
        return not self._missing or all(job.done(force_check=True) for job in self._jobs)

    def _look(self, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        for number, run in list(self._missing.items()):
            outcome = Outcome.read(Path(run.folder))
            if outcome is None or not self._is_over(outcome, run):
                continue
            del self._missing[number]
            reason = f"{outcome.error['type']}: {outcome.error['message']}" if outcome.error else None
            self._ended(run, Ended(outcome.status, objective(outcome, run.metric), reason))
            if outcome.status == "failed" and self._fail_fast:
                self.stop(f"fail_fast=true, and a run failed: {reason}")

    def _is_over(self, outcome: Outcome, run: Prepared) -> bool:
        failed = outcome.status == "failed" and (outcome.ended or "") >= self._shared.launched
        return outcome.identity == run.identity and (outcome.status in ENDED or failed)


class SlurmEngine:
    """Slurm jobs that train; runs are built in processes of this machine."""

    def __init__(
        self, shared: Shared, settings: Mapping[str, Any], workers: int | str, runs: int, threads: int | None
    ) -> None:
        if workers == "auto":
            raise UserError(HOW_MANY)
        settings = {"name": "bakeoff", "cpus_per_task": threads or 1, **settings}
        self.workers = min(int(workers), runs)
        self._shared = replace(shared, threads=threads or int(settings["cpus_per_task"]))
        self._executor = _executor(settings, Path(str(shared.config.hydra.sweep.dir)).absolute())
        self._pool: LocalPool | None = None
        self._training: SlurmTraining | None = None

    def pool(self, tasks: int) -> LocalPool:
        """See `Engine`."""
        if self._pool is None:
            self._pool = LocalPool(self._shared, max(1, min(joblib.cpu_count(), tasks)))
        return self._pool

    def training(self, runs: Sequence[Prepared], *, fail_fast: bool, ended: OnEnd) -> SlurmTraining:
        """See `Engine`."""
        self.close()
        self._training = SlurmTraining(self._executor, self._shared, self.workers, runs, fail_fast, ended)
        return self._training

    def kill(self) -> None:
        """See `Engine`."""
        if self._pool is not None:
            self._pool.kill()
        if self._training is not None:
            self._training.kill()

    def close(self) -> None:
        """See `Engine`; Slurm jobs stay, for they are nobody's but Slurm's."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _executor(settings: dict[str, Any], sweep: Path) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError(MISSING) from error
    cluster, folder = settings.pop("cluster", "slurm"), settings.pop("folder", sweep / ".submitit")
    if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise UserError(NO_SLURM)
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**settings)
    except Exception as error:  # a cluster or a parameter that there is not: submitit has no class of its own for it
        raise UserError(f"hydra.launcher.submitit: {str(error).splitlines()[0]}") from error
    return executor

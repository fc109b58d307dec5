"""Workers as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import joblib

from bakeoff.workers.gpus import visible_gpus
from bakeoff.workers.messages import BuiltRun, WorkerContext
from bakeoff.workers.pool import OnEnd, Resources
from bakeoff.workers.processes import ProcessPool
from bakeoff.workers.scheduler import RunScheduler


class LocalBackend:
    """See `Backend`. Each worker has GPUs of its own where GPUs are used, as long as there are enough."""

    def __init__(self, context: WorkerContext, resources: Resources) -> None:
        cores = joblib.cpu_count()
        gpus = visible_gpus() if resources.uses_gpus else []
        self.workers = resources.count_workers(cores=cores, gpus=len(gpus))
        sets = _in_sets(gpus, resources.devices)
        self._gpus = [sets[slot % len(sets)] for slot in range(self.workers)] if sets else []
        self._context = replace(context, threads=resources.threads_per_worker(cores=cores, workers=self.workers))
        self._pool: ProcessPool | None = None

    def pool(self, tasks: int) -> ProcessPool:
        """See `Backend`; one pool for everything."""
        if self._pool is None or self._pool.size < min(self.workers, tasks):
            self.close()
            self._pool = ProcessPool(self._context, min(self.workers, tasks), self._gpus)
        return self._pool

    def execution(self, runs: Sequence[BuiltRun], *, fail_fast: bool, on_end: OnEnd) -> RunScheduler:
        """See `Backend`."""
        return RunScheduler(self.pool(len(runs)), runs, fail_fast=fail_fast, on_end=on_end)

    def kill(self) -> None:
        """See `Backend`."""
        if self._pool is not None:
            self._pool.kill()

    def close(self) -> None:
        """See `Backend`."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _in_sets(gpus: Sequence[str], size: int) -> list[str]:
    """The GPUs in sets of `size`, as `CUDA_VISIBLE_DEVICES` names them; all in one, where there are too few."""
    whole = [",".join(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size)]
    return whole or ([",".join(gpus)] if gpus else [])

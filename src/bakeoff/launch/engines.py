"""Where the workers of a sweep are: this machine, a Ray cluster, or Slurm's; and how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import joblib

from bakeoff.errors import UserError
from bakeoff.launch.dispatch import Pool
from bakeoff.launch.local import LocalPool
from bakeoff.launch.messages import Ended, Prepared, Shared
from bakeoff.launch.training import Training
from bakeoff.words import did_you_mean

NVIDIA = "/proc/driver/nvidia/gpus"  # one entry a GPU, by the driver
ENGINES = ("local", "ray", "submitit")
OnEnd = Callable[[Prepared, Ended], None]


class OnTheWay(Protocol):
    """Runs that are being trained; `stopped` says why, if it ends before all is done."""

    stopped: str | None

    @property
    def running(self) -> list[Prepared]:
        """What is being trained now."""

    def run(self) -> Iterator[None]:
        """Trains until all is done or stopped; yields often, so that the caller can look around."""

    def stop(self, why: str) -> None:
        """Begins nothing more, and asks what is being trained to come to rest."""


class Engine(Protocol):
    """Brings runs to workers. `workers` is how many there are at most."""

    workers: int

    def pool(self, tasks: int) -> Pool:
        """Workers that build runs, no more than there are tasks."""

    def training(self, runs: Sequence[Prepared], *, fail_fast: bool, ended: OnEnd) -> OnTheWay:
        """Trains them."""

    def kill(self) -> None:
        """Ends every worker at once."""

    def close(self) -> None:
        """Lets the workers go."""


def engine_of(
    name: str,
    ray: Mapping[str, Any],
    submitit: Mapping[str, Any],
    shared: Shared,
    workers: int | str,
    runs: int,
    threads: int | None,
    accelerator: str,
) -> Engine:
    """The engine of that name.

    Args:
        name: local, ray or submitit.
        ray: settings of Ray.
        submitit: settings of submitit.
        shared: what workers are told.
        workers: how many; `auto` is one a GPU where GPUs are used, else as many as have cores for their threads.
        runs: in the whole sweep, done ones counted: the same command has the same number of threads.
        threads: of torch, in each run; None shares the cores out.
        accelerator: as in the trainer's settings.

    Raises:
        UserError: there is no such engine, or what it needs is not installed.

    """
    if name == "ray":
        from bakeoff.launch.ray import RayEngine

        return RayEngine(shared, ray, workers, runs, threads, accelerator)
    if name == "submitit":
        from bakeoff.launch.slurm import SlurmEngine

        return SlurmEngine(shared, submitit, workers, runs, threads)
    if name != "local":
        raise UserError(
            f"hydra.launcher.engine must be one of {', '.join(ENGINES)}, got {name}{did_you_mean(name, ENGINES)}"
        )
    return LocalEngine(shared, workers, runs, threads, accelerator)


class LocalEngine:
    """Processes of this machine."""

    def __init__(self, shared: Shared, workers: int | str, runs: int, threads: int | None, accelerator: str) -> None:
        cores = joblib.cpu_count()
        gpus = visible_gpus() if accelerator != "cpu" else []
        usual = len(gpus) or cores // (threads or 1)
        self.workers = max(1, min(usual if workers == "auto" else int(workers), runs))
        self._gpus = [gpus[slot % len(gpus)] for slot in range(self.workers)] if gpus else []
        self._shared = replace(shared, threads=threads or max(1, cores // self.workers))
        self._pool: LocalPool | None = None

    def pool(self, tasks: int) -> LocalPool:
        """See `Engine`; one pool for all that is to be done."""
        if self._pool is None or self._pool.size < min(self.workers, tasks):
            self.close()
            self._pool = LocalPool(self._shared, min(self.workers, tasks), self._gpus)
        return self._pool

    def training(self, runs: Sequence[Prepared], *, fail_fast: bool, ended: OnEnd) -> Training:
        """See `Engine`."""
        return Training(self.pool(len(runs)), runs, fail_fast=fail_fast, ended=ended)

    def kill(self) -> None:
        """See `Engine`."""
        if self._pool is not None:
            self._pool.kill()

    def close(self) -> None:
        """See `Engine`."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs of this machine that this process may use, by number or UUID; torch is not asked, nor needed."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    try:
        return [str(number) for number, _ in enumerate(os.listdir(NVIDIA))]
    except OSError:
        return []

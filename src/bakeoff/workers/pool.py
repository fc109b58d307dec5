"""What a back end must offer: workers in slots, and runs that are trained by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bakeoff.workers.messages import BuiltRun, Reply, RunResult, Task

OnEnd = Callable[[BuiltRun, RunResult], None]


@dataclass(frozen=True)
class Resources:
    """What a sweep asks for.

    `workers` may be `auto`; `runs` are those of the whole sweep, finished ones counted, so that the same command gives
    the same number of threads; `threads` are torch's in each run, None to share the cores out; `accelerator` is as in
    the trainer's settings, and so are `devices`, which each run takes, with a process and its threads for each.
    """

    workers: int | str
    runs: int
    threads: int | None
    accelerator: str
    devices: int = 1

    @property
    def uses_gpus(self) -> bool:
        """Whether a GPU that is there is used."""
        return self.accelerator != "cpu"

    def count_workers(self, *, cores: int, gpus: int) -> int:
        """At least 1 and at most one a run: by default as many as have GPUs, else cores for their threads."""
        default = (gpus or cores // (self.threads or 1)) // self.devices
        return max(1, min(default if self.workers == "auto" else int(self.workers), self.runs))

    def threads_per_worker(self, *, cores: int, workers: int) -> int:
        """Those that are asked for, or an equal part of the cores; for each process of a run."""
        return self.threads or max(1, cores // (workers * self.devices))


class WorkerPool(Protocol):
    """Workers in `size` slots. A worker that dies over its task gives the reply `WorkerDied`; its slot works again."""

    size: int

    def submit(self, slot: int, task: Task) -> None:
        """Gives the worker of a slot something to do."""

    def wait(self, seconds: float) -> list[tuple[int, Reply]]:
        """What has come in the meantime, or within so many seconds: slot, reply."""

    def stop(self) -> None:
        """Asks every worker to stop its run at the next step boundary."""

    def kill(self) -> None:
        """Ends every worker at once."""

    def close(self) -> None:
        """Shuts down the workers."""


class SweepExecution(Protocol):
    """Runs that are being trained; `stopped` says why, if it ends before all are finished."""

    stopped: str | None

    @property
    def running(self) -> list[BuiltRun]:
        """What is being trained now."""

    def run(self) -> Iterator[None]:
        """Trains until all are finished or stopped; yields often, so that the caller can do something else."""

    def stop(self, why: str) -> None:
        """Starts nothing more, and asks what is being trained to stop."""


class Backend(Protocol):
    """Where runs are built and trained. `workers` is how many workers there are at most.

    Made from `hydra.launcher.backend._target_`, with a `WorkerContext`, `Resources` and its own settings.
    """

    workers: int

    def pool(self, tasks: int) -> WorkerPool:
        """Workers that build runs, no more than there are tasks."""

    def execution(self, runs: Sequence[BuiltRun], *, fail_fast: bool, on_end: OnEnd) -> SweepExecution:
        """Trains them; `on_end` is called with each run that has ended."""

    def kill(self) -> None:
        """Ends every worker at once."""

    def close(self) -> None:
        """Shuts down the workers."""

"""Workers build and train the runs of a sweep: processes here, Ray actors, Slurm jobs. Imports no torch by itself."""

from bakeoff.workers.messages import BuiltRun, InvalidRun, Job, RunResult, WorkerContext, WorkerDied
from bakeoff.workers.pool import Backend, Resources, SweepExecution, WorkerPool

__all__ = [
    "Backend",
    "BuiltRun",
    "InvalidRun",
    "Job",
    "Resources",
    "RunResult",
    "SweepExecution",
    "WorkerContext",
    "WorkerDied",
    "WorkerPool",
]

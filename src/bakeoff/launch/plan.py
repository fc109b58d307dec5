"""What a multirun asks for: which runs are finished, the same, or invalid, and which are to be trained."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.launch.recognize import FinishedRun, Recognized
from bakeoff.runs import ReuseRule
from bakeoff.workers import BuiltRun, InvalidRun, Job, WorkerDied, WorkerPool
from bakeoff.workers.scheduler import MAX_DEATHS, Dispatcher

MAX_ERRORS_SHOWN = 5


@dataclass
class Plan:
    """The jobs of one multirun by number, each in one of three mappings.

    `known` were recognized as finished and not even composed. `built` could be built, and may be finished, too.
    `invalid` could not be built. `duplicate_of` maps the number of a job to that of the first job that is the same run.
    """

    jobs: Sequence[Job]
    known: dict[int, FinishedRun] = field(default_factory=dict)
    built: dict[int, BuiltRun] = field(default_factory=dict)
    invalid: dict[int, InvalidRun] = field(default_factory=dict)
    duplicate_of: dict[int, int] = field(default_factory=dict)

    def to_train(self) -> list[BuiltRun]:
        """The runs that are to be trained, each once."""
        return [run for number, run in self.built.items() if run.finished is None and number not in self.duplicate_of]

    def finished(self) -> dict[int, str]:
        """Number -> status of the runs that are finished, each once."""
        known = {number: run.outcome.status for number, run in self.known.items()}
        built = {number: run.finished for number, run in self.built.items() if run.finished is not None}
        return {number: status for number, status in (known | built).items() if number not in self.duplicate_of}

    def asked_of_finished(self) -> list[tuple[Path, Sequence[str]]]:
        """The folders of the runs that are finished, and the overrides by which they are asked for."""
        folders = {number: run.folder for number, run in self.known.items()}
        folders |= {number: run.folder for number, run in self.built.items() if run.finished is not None}
        return [(Path(folders[job.number]), job.overrides) for job in self.jobs if job.number in folders]

    def notes(self) -> list[str]:
        """What a user is to know of how the runs that are to be trained were built, each once."""
        return list(dict.fromkeys(note for run in self.to_train() for note in run.notes))

    def assumed(self) -> list[str]:
        """What is assumed unchanged where records are taken for runs that were asked for."""
        known = [run.outcome.assumed for run in self.known.values()]
        return sorted({text for text in [*known, *(run.assumed for run in self.built.values())] if text is not None})


def plan(
    jobs: Sequence[Job],
    sweep: Path,
    configuration: str,
    reuse_rule: ReuseRule,
    pool: Callable[[int], WorkerPool],
    on_built: Callable[[int, int], object] = lambda built, total: None,
) -> Plan:
    """Sorts the jobs of a multirun; builds those that are not recognized as finished; trains none.

    Args:
        jobs: what is asked for.
        sweep: the folder of the sweep.
        configuration: hash of the configuration files.
        reuse_rule: which records the command takes for its own runs.
        pool: gives workers for so many tasks.
        on_built: called with the number of runs that have been built, and of all that are to be.

    """
    planned = Plan(jobs)
    recognized = Recognized(jobs, sweep, configuration, reuse_rule)
    unknown = [job for job in jobs if job.number not in recognized.known]
    probes = [job for job in unknown if job.number in recognized.probes.values()]
    if probes:
        _build(planned, pool(len(unknown)), probes, on_built)
        recognized.confirm(planned.built)
    planned.known = dict(sorted(recognized.known.items()))
    missing = [job for job in unknown if job.number not in planned.known and job not in probes]
    if missing:
        _build(planned, pool(len(unknown)), missing, on_built)
    planned.built = dict(sorted(planned.built.items()))
    _find_duplicates(planned)
    _refuse_shared_folders(planned)
    return planned


def _build(planned: Plan, pool: WorkerPool, jobs: Sequence[Job], on_built: Callable[[int, int], object]) -> None:
    deaths: Counter[int] = Counter()
    dispatcher = Dispatcher(pool, deque(jobs))
    done = len(planned.built) + len(planned.invalid)
    total = done + len(jobs)
    on_built(done, total)
    for message in dispatcher.replies():
        if message is None:
            continue
        task, reply = message
        assert isinstance(task, Job)
        if isinstance(reply, WorkerDied):
            deaths[task.number] += 1
            if deaths[task.number] < MAX_DEATHS:
                dispatcher.tasks.appendleft(task)
                continue
        _sort_in(planned, task, reply)
        on_built(len(planned.built) + len(planned.invalid), total)


def _sort_in(planned: Plan, task: Job, reply: object) -> None:
    if isinstance(reply, BuiltRun):
        planned.built[task.number] = reply
    elif isinstance(reply, InvalidRun):
        planned.invalid[task.number] = reply
    else:
        how = reply.how if isinstance(reply, WorkerDied) else str(reply)
        planned.invalid[task.number] = InvalidRun(task, f"the process that built it {how}")


def _find_duplicates(planned: Plan) -> None:
    first: dict[str, int] = {}
    for job in planned.jobs:
        known, built = planned.known.get(job.number), planned.built.get(job.number)
        identity = known.outcome.identity if known else built.identity if built else None
        if identity is not None and first.setdefault(identity, job.number) != job.number:
            planned.duplicate_of[job.number] = first[identity]


def _refuse_shared_folders(planned: Plan) -> None:
    """Two runs in one folder: they differ in what names no arm, or `hydra.sweep.subdir` was given."""
    first: dict[str, int] = {}
    for number, run in list(planned.built.items()):
        other = first.setdefault(run.folder, number)
        if number not in planned.duplicate_of and other != number:
            words = " ".join(planned.built[other].job.overrides)
            message = f"its folder would be that of another run ({words}); give each a sweep=... of its own"
            planned.invalid[number] = InvalidRun(run.job, message)
            del planned.built[number]


def raise_if_invalid(planned: Plan) -> None:
    """To be called where nothing is trained if a run cannot be built.

    Raises:
        UserError: lists the runs that cannot be built, and why.

    """
    messages = {invalid.message for invalid in planned.invalid.values()}
    if len(messages) == 1 and len(planned.invalid) == len(planned.jobs):
        raise UserError(messages.pop())
    if messages:
        found = "\n".join(reasons(planned))
        raise UserError(
            f"{len(planned.invalid)} of {len(planned.jobs)} runs cannot be built; none was started:\n{found}"
        )


def reasons(planned: Plan) -> list[str]:
    """Why runs cannot be built: each reason once, with an example."""
    errors: dict[str, list[str]] = {}
    for invalid in planned.invalid.values():
        errors.setdefault(invalid.message, []).append(" ".join(invalid.job.overrides))
    lines = [f"  {error}\n    in {len(runs)}, such as: {runs[0]}" for error, runs in errors.items()]
    hidden = [f"  and {len(lines) - MAX_ERRORS_SHOWN} other errors"] if len(lines) > MAX_ERRORS_SHOWN else []
    return [*lines[:MAX_ERRORS_SHOWN], *hidden]

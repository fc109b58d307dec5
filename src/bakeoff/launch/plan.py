"""What a multirun asks for: which runs are done, which are the same, which cannot be built, which are to be trained."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import UserError
from bakeoff.launch.dispatch import MOST_DEATHS, Dispatch, Pool
from bakeoff.launch.display import preparing
from bakeoff.launch.messages import Job, Lost, Prepared, Refused
from bakeoff.launch.request import request_key, unchanged
from bakeoff.runs import ENDED, Outcome

MAX_ERRORS_SHOWN = 5


class Known(NamedTuple):
    """A run that is done: its record, and where that is."""

    outcome: Outcome
    folder: str


@dataclass
class Plan:
    """The jobs of one multirun, each in one of its places.

    `known` are done, and were not even composed. `prepared` are composed and built, and may be done, too. `same` maps
    the number of a job to that of the job before it that is the same run.
    """

    jobs: Sequence[Job]
    known: dict[int, Known] = field(default_factory=dict)
    prepared: dict[int, Prepared] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)
    same: dict[int, int] = field(default_factory=dict)

    def to_train(self) -> list[Prepared]:
        """The runs that are to be trained, each once."""
        return [run for number, run in self.prepared.items() if run.done is None and number not in self.same]

    def done(self) -> dict[int, str]:
        """Number -> status of the runs that are done, each once."""
        known = {number: run.outcome.status for number, run in self.known.items() if number not in self.same}
        prepared = {n: run.done for n, run in self.prepared.items() if run.done is not None and n not in self.same}
        return known | prepared


def plan(
    jobs: Sequence[Job],
    sweep: Path,
    configuration: str,
    retry: str | None,
    pool: Callable[[int], Pool],
) -> Plan:
    """Finds the place of every job; builds those that are not known, by a pool made for that many; trains none."""
    planned = Plan(jobs)
    _find_known(planned, sweep, configuration, retry)
    missing: deque[Job | Prepared] = deque(job for job in jobs if job.number not in planned.known)
    if missing:
        with preparing(len(missing)) as bar:
            _build(planned, Dispatch(pool(len(missing)), missing), bar.update)
    planned.prepared = dict(sorted(planned.prepared.items()))
    _find_same(planned)
    return planned


def _find_known(planned: Plan, sweep: Path, configuration: str, retry: str | None) -> None:
    records = {}
    for path in sweep.glob("*/seed=*/outcome.json"):
        outcome = Outcome.read(path.parent)
        if outcome is not None and outcome.request and (outcome.status in ENDED or _stays_failed(outcome, retry)):
            records[outcome.request.get("key")] = Known(outcome, os.path.abspath(path.parent))
    looked_at: dict[str, str | None] = {}
    for job in planned.jobs:
        run = records.get(request_key(job.overrides, configuration))
        if run is not None and run.outcome.request and unchanged(run.outcome.request["files"], looked_at):
            planned.known[job.number] = run


def _stays_failed(outcome: Outcome, retry: str | None) -> bool:
    return outcome.status == "failed" and retry != "failed"


def _build(planned: Plan, dispatch: Dispatch, built: Callable[[], object]) -> None:
    deaths: Counter[int] = Counter()
    for news in dispatch.answers():
        if news is None:
            continue
        task, answer = news
        assert isinstance(task, Job)
        if isinstance(answer, Lost):
            deaths[task.number] += 1
            if deaths[task.number] < MOST_DEATHS:
                dispatch.tasks.appendleft(task)
                continue
        _place(planned, task, answer)
        built()


def _place(planned: Plan, task: Job, answer: object) -> None:
    if isinstance(answer, Prepared):
        planned.prepared[task.number] = answer
    elif isinstance(answer, Refused):
        planned.refused[task.number] = answer
    else:
        how = answer.how if isinstance(answer, Lost) else str(answer)
        planned.refused[task.number] = Refused(task, f"the process that built it {how}")


def _find_same(planned: Plan) -> None:
    first: dict[str, int] = {}
    for job in planned.jobs:
        known, prepared = planned.known.get(job.number), planned.prepared.get(job.number)
        identity = known.outcome.identity if known else prepared.identity if prepared else None
        if identity is not None and first.setdefault(identity, job.number) != job.number:
            planned.same[job.number] = first[identity]


def refuse_bad(planned: Plan) -> None:
    """Nothing is trained if a run cannot be built.

    Raises:
        UserError: lists the runs that cannot be built, and why.

    """
    messages = {refused.message for refused in planned.refused.values()}
    if len(messages) == 1 and len(planned.refused) == len(planned.jobs):
        raise UserError(messages.pop())
    if messages:
        found = "\n".join(reasons(planned))
        raise UserError(
            f"{len(planned.refused)} of {len(planned.jobs)} runs cannot be built; none was started:\n{found}"
        )


def reasons(planned: Plan) -> list[str]:
    """Why runs cannot be built: each reason once, with an example."""
    errors: dict[str, list[str]] = {}
    for refused in planned.refused.values():
        errors.setdefault(refused.message, []).append(" ".join(refused.job.overrides))
    lines = [f"  {error}\n    in {len(runs)}, such as: {runs[0]}" for error, runs in errors.items()]
    hidden = [f"  and {len(lines) - MAX_ERRORS_SHOWN} other errors"] if len(lines) > MAX_ERRORS_SHOWN else []
    return [*lines[:MAX_ERRORS_SHOWN], *hidden]

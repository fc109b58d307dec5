"""Gives tasks to the workers of a pool, and gets every run trained, whatever becomes of the workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from bakeoff.runs import Outcome
from bakeoff.runs.lease import acquire, is_leased
from bakeoff.workers.messages import BuiltRun, Reply, RunResult, Task, WorkerDied
from bakeoff.workers.pool import OnEnd, WorkerPool

MAX_DEATHS = 3  # of the workers over one run; then it is the run's own fault
WAIT_INTERVAL = 0.2  # seconds without a reply after which the caller may do something else
LEASE_INTERVAL = 1.0  # seconds between two looks at the leases of runs that other processes train


class Dispatcher:
    """Tasks and the slots that work on them; `tasks` may be added to, or cleared, at any time."""

    def __init__(self, pool: WorkerPool, tasks: deque[Task]) -> None:
        self._pool, self.tasks = pool, tasks
        self.running: dict[int, Task] = {}

    def replies(self) -> Iterator[tuple[Task, Reply] | None]:
        """Task and reply, one after the other, until no task is left; None now and then, when there is none."""
        while self.tasks or self.running:
            for slot in range(self._pool.size):
                if self.tasks and slot not in self.running:
                    self.running[slot] = self.tasks.popleft()
                    self._pool.submit(slot, self.running[slot])
            arrived = self._pool.wait(WAIT_INTERVAL)
            for slot, reply in arrived:
                yield self.running.pop(slot), reply
            if not arrived:
                yield None


class RunScheduler:
    """Runs that a pool trains; see `SweepExecution`.

    A run whose worker died is resumed by another from its last checkpoint. One that a live process of another command
    trains is left to it, and taken over if that dies.

    Args:
        pool: the workers.
        runs: what is to be trained, in this order.
        fail_fast: whether the first failed run ends it all.
        on_end: called with each run that has ended.

    """

    def __init__(self, pool: WorkerPool, runs: Sequence[BuiltRun], *, fail_fast: bool, on_end: OnEnd) -> None:
        self._pool, self._fail_fast, self._on_end = pool, fail_fast, on_end
        self._dispatcher = Dispatcher(pool, deque(runs))
        self._elsewhere: list[BuiltRun] = []
        self._deaths: Counter[int] = Counter()
        self._checked = 0.0
        self.stopped: str | None = None

    @property
    def running(self) -> list[BuiltRun]:
        """What is being trained now, here or by others."""
        return [*(task for task in self._dispatcher.running.values() if isinstance(task, BuiltRun)), *self._elsewhere]

    def run(self) -> Iterator[None]:
        """See `SweepExecution`."""
        while self._dispatcher.tasks or self._elsewhere:
            for message in self._dispatcher.replies():
                if message is not None:
                    task, reply = message
                    assert isinstance(task, BuiltRun)
                    self._handle(task, reply)
                self._check_elsewhere()
                yield
            if self._elsewhere and not self._dispatcher.tasks:
                time.sleep(LEASE_INTERVAL / 5)
                self._check_elsewhere()
                yield

    def stop(self, why: str) -> None:
        """See `SweepExecution`."""
        if self.stopped is None:
            self.stopped = why
            self._dispatcher.tasks.clear()
            self._elsewhere.clear()
            self._pool.stop()

    def _handle(self, run: BuiltRun, reply: Reply) -> None:
        if isinstance(reply, WorkerDied):
            self._requeue_or_fail(run, reply.how)
        elif isinstance(reply, RunResult):
            if reply.status == "elsewhere":
                if self.stopped is None:
                    self._elsewhere.append(run)
            elif reply.status == "interrupted" and reply.reason is None and self.stopped is None:
                self._requeue_or_fail(run, "was asked to stop")  # by a scheduler, or by hand: another worker resumes it
            else:
                self._end(run, reply)

    def _end(self, run: BuiltRun, result: RunResult) -> None:
        self._on_end(run, result)
        if result.status == "interrupted" and result.reason is not None:
            self.stop(result.reason)  # a full disk is full for every run
        elif result.status == "failed" and self._fail_fast:
            self.stop(f"fail_fast=true, and a run failed: {result.reason}")

    def _requeue_or_fail(self, run: BuiltRun, how: str) -> None:
        self._deaths[run.job.number] += 1
        if self.stopped is not None:
            self._on_end(run, RunResult("interrupted"))
        elif self._deaths[run.job.number] < MAX_DEATHS:
            self._dispatcher.tasks.appendleft(run)
        else:
            message = f"the process that trained it {how}, {MAX_DEATHS} times"
            _record_deaths(run, message)
            self._end(run, RunResult("failed", reason=message))

    def _check_elsewhere(self) -> None:
        if time.monotonic() - self._checked < LEASE_INTERVAL:
            return
        self._checked = time.monotonic()
        for run in self._elsewhere[:]:
            if not is_leased(Path(run.folder)):  # it has ended, or its process is dead: a worker finds out
                self._elsewhere.remove(run)
                self._dispatcher.tasks.append(run)


def _record_deaths(run: BuiltRun, message: str) -> None:
    folder = Path(run.folder)
    lease = acquire(folder)
    if lease is not None:
        with lease:
            outcome = Outcome.read(folder)
            if outcome is not None and outcome.status == "running":
                outcome.status = "failed"
                outcome.error = {"type": "ProcessDied", "message": message, "step": None, "traceback": None}
                outcome.write(folder)

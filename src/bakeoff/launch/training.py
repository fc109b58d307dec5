"""Gets every prepared run trained by a pool of workers, whatever becomes of them; tells how each ended."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bakeoff.launch.dispatch import MOST_DEATHS, Dispatch, Pool
from bakeoff.launch.messages import Answer, Ended, Lost, Prepared
from bakeoff.runs import Outcome, claim

LOOK = 1.0  # seconds between two looks at runs that other processes train


class Training:
    """Runs on their way through a pool.

    A run whose worker died goes on, in another, from its last checkpoint. One that a live process of another command
    trains is left to it, and taken over if that dies.

    Args:
        pool: the workers.
        runs: what is to be trained, in this order.
        fail_fast: whether the first failed run ends it all.
        ended: called with each run that has ended.

    """

    def __init__(
        self, pool: Pool, runs: Sequence[Prepared], *, fail_fast: bool, ended: Callable[[Prepared, Ended], None]
    ) -> None:
        self._pool, self._fail_fast, self._ended = pool, fail_fast, ended
        self._dispatch = Dispatch(pool, deque(runs))
        self._elsewhere: list[Prepared] = []
        self._deaths: Counter[int] = Counter()
        self._looked = 0.0
        self.stopped: str | None = None  # why, if not because all is done

    @property
    def running(self) -> list[Prepared]:
        """What is being trained now, here or by others."""
        return [*(task for task in self._dispatch.running.values() if isinstance(task, Prepared)), *self._elsewhere]

    def run(self) -> Iterator[None]:
        """Trains until all is done or stopped; yields often, so that the caller can look around."""
        while self._dispatch.tasks or self._elsewhere:
            for news in self._dispatch.answers():
                if news is not None:
                    task, answer = news
                    assert isinstance(task, Prepared)
                    self._take(task, answer)
                self._look_elsewhere()
                yield
            if self._elsewhere and not self._dispatch.tasks:
                time.sleep(LOOK / 5)
                self._look_elsewhere()
                yield

    def stop(self, why: str) -> None:
        """Begins nothing more, and asks what is being trained to come to rest."""
        if self.stopped is None:
            self.stopped = why
            self._dispatch.tasks.clear()
            self._elsewhere.clear()
            self._pool.stop()

    def _take(self, run: Prepared, answer: Answer) -> None:
        if isinstance(answer, Lost):
            self._bury(run, answer.how)
        elif isinstance(answer, Ended):
            if answer.status == "elsewhere":
                if self.stopped is None:
                    self._elsewhere.append(run)
            elif answer.status == "interrupted" and answer.reason is None and self.stopped is None:
                self._bury(run, "was asked to stop")  # by a scheduler, or by hand: another worker goes on
            else:
                self._end(run, answer)

    def _end(self, run: Prepared, answer: Ended) -> None:
        self._ended(run, answer)
        if answer.status == "interrupted" and answer.reason is not None:
            self.stop(answer.reason)  # a full disk is full for every run
        elif answer.status == "failed" and self._fail_fast:
            self.stop(f"fail_fast=true, and a run failed: {answer.reason}")

    def _bury(self, run: Prepared, how: str) -> None:
        self._deaths[run.job.number] += 1
        if self.stopped is not None:
            self._ended(run, Ended("interrupted"))
        elif self._deaths[run.job.number] < MOST_DEATHS:
            self._dispatch.tasks.appendleft(run)
        else:
            message = f"the process that trained it {how}, {MOST_DEATHS} times"
            _record_deaths(run, message)
            self._end(run, Ended("failed", reason=message))

    def _look_elsewhere(self) -> None:
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        for run in self._elsewhere[:]:
            if not claim.is_claimed(Path(run.folder)):  # ended, or dead: a worker finds out
                self._elsewhere.remove(run)
                self._dispatch.tasks.append(run)


def _record_deaths(run: Prepared, message: str) -> None:
    folder = Path(run.folder)
    mine = claim.take(folder)
    if mine is not None:
        with mine:
            outcome = Outcome.read(folder)
            if outcome is not None and outcome.status == "running":
                outcome.status = "failed"
                outcome.error = {"type": "ProcessDied", "message": message, "step": None, "traceback": None}
                outcome.write(folder)

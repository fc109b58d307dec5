"""Gives tasks to the workers of a pool, one each, and hands out the answers as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from bakeoff.launch.messages import Answer, Task

MOST_DEATHS = 3  # of the workers over one run; then it is the run's own fault
TICK = 0.2  # seconds without an answer after which the caller is let look around


class Pool(Protocol):
    """Workers in `size` slots. A worker that dies over its task gives the answer `Lost`; its slot works again."""

    size: int

    def submit(self, slot: int, task: Task) -> None:
        """Gives the worker of a slot something to do."""

    def wait(self, seconds: float) -> list[tuple[int, Answer]]:
        """What has come in the meantime, or within so many seconds: slot, answer."""

    def stop(self) -> None:
        """Asks every worker to bring its run to rest."""

    def kill(self) -> None:
        """Ends every worker at once."""

    def close(self) -> None:
        """Lets the workers go."""


class Dispatch:
    """Tasks on their way; `tasks` may be added to, or cleared, at any time."""

    def __init__(self, pool: Pool, tasks: deque[Task]) -> None:
        self._pool, self.tasks = pool, tasks
        self.running: dict[int, Task] = {}

    def answers(self) -> Iterator[tuple[Task, Answer] | None]:
        """Task and answer, one after the other, until no task is left; None now and then, when there is no news."""
        while self.tasks or self.running:
            for slot in range(self._pool.size):
                if self.tasks and slot not in self.running:
                    self.running[slot] = self.tasks.popleft()
                    self._pool.submit(slot, self.running[slot])
            arrived = self._pool.wait(TICK)
            for slot, answer in arrived:
                yield self.running.pop(slot), answer
            if not arrived:
                yield None

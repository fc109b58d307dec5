"""Workers as processes of this machine, forked from one that has imported everything: the second starts in no time.

Python's own fork server makes them. Each hears from the launcher through a pipe, whose end it also hears: a worker
whose launcher is dead brings its run to rest and goes.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from bakeoff.launch.messages import Answer, Lost, Shared, Task

STOP = "stop"
PATIENCE = 5.0  # seconds that a worker has to go when it is done


class LocalPool:
    """Processes of this machine, one task each at a time; a slot whose process died gets another.

    Args:
        shared: what every worker is told.
        gpus: the GPU of each slot, by number or UUID, which it then sees alone; none for workers without.

    """

    def __init__(self, shared: Shared, size: int, gpus: Sequence[str] = ()) -> None:
        self.size, self._shared, self._gpus = size, shared, gpus
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bakeoff.launch.worker"])
        self._workers: dict[int, tuple[BaseProcess, Connection]] = {}
        self._busy: set[int] = set()

    def submit(self, slot: int, task: Task) -> None:
        """Gives the worker of a slot something to do; starts it if there is none."""
        self._busy.add(slot)
        if slot not in self._workers:
            self._workers[slot] = self._start(slot)
        with suppress(BrokenPipeError):  # it died while it was idle: `wait` will tell
            self._workers[slot][1].send(task)

    def wait(self, seconds: float) -> list[tuple[int, Answer]]:
        """What has come in the meantime, or within so many seconds: slot, answer."""
        connections = {slot: self._workers[slot][1] for slot in sorted(self._busy)}
        ready = wait(list(connections.values()), timeout=seconds)
        answers: list[tuple[int, Answer]] = []
        for slot, connection in connections.items():
            if connection not in ready:
                continue
            self._busy.discard(slot)
            try:
                answers.append((slot, connection.recv()))
            except (EOFError, OSError):
                answers.append((slot, Lost(self._bury(slot))))
        return answers

    def stop(self) -> None:
        """Asks every worker to bring its run to rest."""
        for slot in self._busy:
            with suppress(OSError):
                self._workers[slot][1].send(STOP)

    def kill(self) -> None:
        """Ends every worker at once, whatever it does."""
        for process, _ in self._workers.values():
            process.kill()

    def close(self) -> None:
        """Lets the workers go; those that have something to do come to rest first."""
        for _, connection in self._workers.values():
            connection.close()
        for process, _ in self._workers.values():
            process.join(None if self._busy else PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers, self._busy = {}, set()

    def _start(self, slot: int) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        gpu = self._gpus[slot] if self._gpus else None
        process = self._context.Process(target=_serve, args=(theirs, self._shared, gpu), name=f"bakeoff-{slot}")
        process.start()
        theirs.close()
        return process, ours

    def _bury(self, slot: int) -> str:
        process, connection = self._workers.pop(slot)
        connection.close()
        process.join(PATIENCE)
        code = process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
        return f"ended with exit status {code}"


def _serve(connection: Connection, shared: Shared, gpu: str | None) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of the terminal: the launcher says what it means
    multiprocessing.set_start_method(None, force=True)  # a run's own processes, as loaders have, start as always
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    from bakeoff.launch.worker import Worker
    from bakeoff.train.stopping import Stopping

    stopping = Stopping()
    signal.signal(signal.SIGTERM, lambda *_: stopping.ask())
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, stopping, tasks), name="listen", daemon=True).start()
    worker = Worker(shared, stopping)
    while (task := tasks.get()) is not None:
        try:
            connection.send(worker.perform(task))
        except OSError:  # the launcher is dead
            return
        if stopping.asked:  # by a scheduler, perhaps: a worker that is not wanted takes nothing more
            return


def _listen(connection: Connection, stopping: Any, tasks: queue.SimpleQueue[Task | None]) -> None:
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            stopping.ask()
            tasks.put(None)
            return
        if message == STOP:
            stopping.ask()
        else:
            tasks.put(message)

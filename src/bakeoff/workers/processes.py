"""Worker processes, forked from one that has imported everything: the second starts in no time.

Python's own fork server makes them. Each receives tasks from the launcher through a pipe. When that closes, the
launcher is dead: the worker stops its run at the next step boundary and ends.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from bakeoff.runs import StopRequest
from bakeoff.workers.messages import Reply, Task, WorkerContext, WorkerDied

STOP = "stop"
NAME = "bakeoff-worker-"
JOIN_TIMEOUT = 5.0  # seconds that an idle worker has to end


class ProcessPool:
    """Processes of this machine, one task each at a time; a slot whose process died gets another.

    Args:
        worker_context: what every worker gets.
        gpus: the GPU of each slot, by number or UUID, which it then sees alone; none for workers without.

    """

    def __init__(self, worker_context: WorkerContext, size: int, gpus: Sequence[str] = ()) -> None:
        self.size, self._worker_context, self._gpus = size, worker_context, gpus
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bakeoff.workers.worker"])
        self._workers: dict[int, tuple[BaseProcess, Connection]] = {}
        self._busy: set[int] = set()

    def submit(self, slot: int, task: Task) -> None:
        """Gives the worker of a slot something to do; starts it if there is none."""
        self._busy.add(slot)
        if slot not in self._workers:
            self._workers[slot] = self._start(slot)
        with suppress(BrokenPipeError):  # it died while it was idle: `wait` finds out
            self._workers[slot][1].send(task)

    def wait(self, seconds: float) -> list[tuple[int, Reply]]:
        """See `WorkerPool`."""
        connections = {slot: self._workers[slot][1] for slot in sorted(self._busy)}
        ready = wait(list(connections.values()), timeout=seconds)
        replies: list[tuple[int, Reply]] = []
        for slot, connection in connections.items():
            if connection not in ready:
                continue
            self._busy.discard(slot)
            try:
                replies.append((slot, connection.recv()))
            except (EOFError, OSError):
                replies.append((slot, WorkerDied(self._reap(slot))))
        return replies

    def stop(self) -> None:
        """See `WorkerPool`."""
        for slot in self._busy:
            with suppress(OSError):
                self._workers[slot][1].send(STOP)

    def kill(self) -> None:
        """See `WorkerPool`."""
        # one that was being started when Ctrl-C came is not among `_workers`, and Python waits for it at its exit
        for process in multiprocessing.active_children():
            if process.name.startswith(NAME):
                process.kill()

    def close(self) -> None:
        """Shuts down the workers; those that train stop at the next step boundary first."""
        for _, connection in self._workers.values():
            connection.close()
        for process, _ in self._workers.values():
            process.join(None if self._busy else JOIN_TIMEOUT)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers, self._busy = {}, set()

    def _start(self, slot: int) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        gpu = self._gpus[slot] if self._gpus else None
        process = self._context.Process(target=_serve, args=(theirs, self._worker_context, gpu), name=f"{NAME}{slot}")
        with _hold_interrupts():
            process.start()
        theirs.close()
        return process, ours

    def _reap(self, slot: int) -> str:
        process, connection = self._workers.pop(slot)
        connection.close()
        process.join(JOIN_TIMEOUT)
        code = process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"was killed by {name}" + (", possibly out of memory" if name == "SIGKILL" else "")
        return f"ended with exit status {code}"


@contextmanager
def _hold_interrupts() -> Iterator[None]:
    """Ctrl-C waits meanwhile, and never reaches what is started: it reaches all of a terminal.

    The fork server guards itself against it only when it has imported everything, and would print a stack trace.
    """
    resource_tracker.ensure_running()  # starting it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, context: WorkerContext, gpu: str | None) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal: the launcher decides
    multiprocessing.set_start_method(None, force=True)  # a run's own processes, as loaders have, start as ever
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    from bakeoff.workers.worker import Worker

    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: stop.request())
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, stop, tasks), name="listen", daemon=True).start()
    worker = Worker(context, stop)
    while (task := tasks.get()) is not None:
        try:
            connection.send(worker.perform(task))
        except OSError:  # the launcher is dead
            return
        if stop.requested:  # by a scheduler, perhaps: this worker takes nothing more
            return


def _listen(connection: Connection, stop: StopRequest, tasks: queue.SimpleQueue[Task | None]) -> None:
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            stop.request()
            tasks.put(None)
            return
        if message == STOP:
            stop.request()
        else:
            tasks.put(message)

"""Trains a run on as many devices as it asks for: in this process, or in several, one for each device.

The first process is this one; it alone writes into the folder of the run. The others build the same run again from its
settings, and keep what they would write in temporary folders. Each stops where the others stop.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lightning.fabric.plugins.environments.lightning import find_free_network_port

from bakeoff.runs import Outcome
from bakeoff.runs.stop import SIGNALS
from bakeoff.train import checkpoint_files as files
from bakeoff.train.error import Error, as_error
from bakeoff.train.net_description import describe
from bakeoff.train.place import Place
from bakeoff.train.prepare import silence
from bakeoff.train.run import build_run
from bakeoff.train.run_state import RunState
from bakeoff.train.session import RunSession
from bakeoff.train.settings import Settings
from bakeoff.train.shared_state import state_in
from bakeoff.train.solo import train_solo

BUILT, READY = "built", "ready"  # what another process says of itself
TIME_TO_SAY_WHY = 10.0  # seconds that a process has to say why it failed, when its connection is gone
TIME_TO_END = 5.0  # seconds that it has to end by itself
IS_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket Timeout")


def train(session: RunSession, *, progress_bar: bool = False) -> Outcome:
    """See `train_solo`; on several devices, if the run's settings say so."""
    settings = session.run.settings
    if settings.trainer.devices == 1:
        return train_solo(session, progress_bar=progress_bar)
    threads = settings.trainer.threads or session.threads
    with _environment(threads), FirstPlace(settings, session.run.overrides, threads) as place:
        return train_solo(session, place=place, progress_bar=progress_bar)


@dataclass(frozen=True)
class _Start:
    """What another process needs to train its share."""

    settings: Settings
    overrides: list[str]
    threads: int
    rank: int
    folder: str  # where the command was given: a new process may begin in another one


class FirstPlace(Place):
    """That of the process that keeps the records; starts the others, and ends them."""

    def __init__(self, settings: Settings, overrides: list[str], threads: int) -> None:
        super().__init__(0, settings.trainer.devices)
        self._starts = [_Start(settings, overrides, threads, rank, os.getcwd()) for rank in range(1, self.count)]
        self._others: list[tuple[BaseProcess, Connection]] = []
        self._failed: Error | None = None  # before the training began

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")  # a fork would inherit threads and the state of a GPU
        for start in self._starts:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, start), name=f"bakeoff-device-{start.rank}")
            process.start()
            theirs.close()
            self._others.append((process, ours))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, connection in self._others:
            connection.close()
            process.join(TIME_TO_END)
            if process.is_alive():  # it waits for this one, which has failed
                process.kill()
                process.join()

    def wait_for_others(self, resumed: RunState | None) -> None:
        """See `Place`.

        Raises:
            OtherProcessError: one of them has failed.

        """
        for expected in (BUILT, READY):
            for rank, (_, connection) in enumerate(self._others, start=1):
                found = _received(connection, None)
                if found != expected:
                    self._failed = found or _ended(rank, self.count)
                    raise OtherProcessError(self._failed["message"])
            if expected == BUILT:  # the port is found now: seconds later another run may have taken it
                self.port = find_free_network_port()
                for rank, (_, connection) in enumerate(self._others, start=1):
                    connection.send((self.port, resumed and state_in(rank, resumed)))

    def cause(self, error: Error) -> Error:
        """See `Place`."""
        if self._failed is not None or not _says_that_another_is_gone(error):
            return self._failed or error
        waiting = {connection: rank for rank, (_, connection) in enumerate(self._others, start=1)}
        for connection in wait(list(waiting), timeout=TIME_TO_SAY_WHY):
            assert isinstance(connection, Connection)
            found = _received(connection, 0.0) or _ended(waiting[connection], self.count)
            if not _says_that_another_is_gone(found):
                return found
        return error


class OtherProcessError(Exception):
    """Another process of the run has failed before the training began."""


def _says_that_another_is_gone(error: Error) -> bool:
    return any(text in str(error["message"]) for text in IS_GONE)


def _ended(rank: int, count: int) -> Error:
    return as_error("ProcessDied", f"process {rank + 1} of {count} of the run died, possibly out of memory")


def _received(connection: Connection, seconds: float | None) -> Any:
    """What the process has sent; None where it has ended without."""
    with suppress(EOFError, OSError):
        if connection.poll(seconds):
            return connection.recv()
    return None


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Lightning sets variables for a process that trains once; in a worker another run follows."""
    before = dict(os.environ)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning chooses their number
    try:
        yield
    finally:
        for name in ("OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def _serve(connection: Connection, start: _Start) -> None:
    """The life of another process than the first."""
    for number in SIGNALS:  # they reach all of a terminal: the first process decides
        signal.signal(number, signal.SIG_IGN)
    os.chdir(start.folder)
    silence()
    place = _OtherPlace(start.rank, start.settings.trainer.devices, connection)
    with _environment(start.threads), tempfile.TemporaryDirectory() as folder, suppress(OSError):
        try:
            # the first process alone writes checkpoints
            run = build_run(replace(start.settings, checkpoints="none"), start.overrides)
            connection.send(BUILT)
            place.port, resumed = connection.recv()
            if resumed is not None:
                files.write(Path(folder) / files.FOLDER / files.LAST, {**resumed.to_file(), **describe(run.parts)})
            session = RunSession(run, Path(folder), threads=start.threads)
        except Exception as error:  # whatever a user's part raises here, and did not in the first process
            connection.send(as_error(type(error).__name__, str(error)))
            return
        outcome = train_solo(session, place=place)
        if outcome.error is not None:
            connection.send(outcome.error)


class _OtherPlace(Place):
    def __init__(self, rank: int, count: int, connection: Connection) -> None:
        super().__init__(rank, count)
        self._connection = connection

    def wait_for_others(self, resumed: RunState | None) -> None:
        """Says that this one is ready."""
        self._connection.send(READY)

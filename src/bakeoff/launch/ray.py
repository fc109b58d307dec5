"""Workers on a Ray cluster: an actor for each, which has a worker process of its own machine do the work.

A run is trained in a process that the actor forks, as on one machine, so that a run that takes its process along
leaves the actor, and the actor can be told to stop it. All machines must see the folder of the sweep under one path.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bakeoff.errors import UserError
from bakeoff.launch.engines import OnEnd
from bakeoff.launch.local import LocalPool
from bakeoff.launch.messages import Answer, Lost, Prepared, Shared, Task
from bakeoff.launch.training import Training

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
MISSING = "hydra.launcher.engine=ray needs Ray, which is not installed: pip install 'bakeoff[ray]'"
CONNECT = 10.0  # seconds
NO_CLUSTER = (
    "no Ray cluster is found at {address}: start one with `ray start --head`, or name it with "
    "hydra.launcher.ray.address=HOST:PORT ({error})"
)


class Seat:
    """The actor: a place on some machine of the cluster for one worker."""

    def __init__(self, shared: Shared) -> None:
        self._pool = LocalPool(shared, 1)

    def here(self) -> bool:
        """Answers as soon as the actor has its place."""
        return True

    def perform(self, task: Task) -> Answer:
        """Has a task done by the worker."""
        self._pool.submit(0, task)
        while True:
            for _, answer in self._pool.wait(1.0):
                return answer

    def stop(self) -> None:
        """Asks the worker to bring its run to rest; heard while it trains."""
        self._pool.stop()


class RayPool:
    """Actors in slots, each made when it is first needed; one that dies is replaced where the cluster has room."""

    def __init__(self, ray: Any, shared: Shared, size: int, options: Mapping[str, Any]) -> None:
        self.size, self._ray, self._shared = size, ray, shared
        self._actor = ray.remote(Seat).options(max_restarts=0, max_task_retries=0, max_concurrency=2, **options)
        self._actors: dict[int, Any] = {}
        self._places: dict[int, Any] = {}  # slot -> what is answered once the actor has its place
        self._answers: dict[int, Any] = {}

    def submit(self, slot: int, task: Task) -> None:
        """See `Pool`."""
        if slot not in self._actors:
            self._actors[slot] = self._actor.remote(self._shared)
            self._places[slot] = self._actors[slot].here.remote()
        self._answers[slot] = self._actors[slot].perform.remote(task)

    def wait(self, seconds: float) -> list[tuple[int, Answer]]:
        """See `Pool`."""
        ready, _ = self._ray.wait(list(self._answers.values()), num_returns=len(self._answers), timeout=seconds)
        found = [(slot, reference) for slot, reference in self._answers.items() if reference in ready]
        self._make_room()
        return [(slot, self._answer(slot, reference)) for slot, reference in found]

    def stop(self) -> None:
        """See `Pool`."""
        for slot in list(self._answers):
            if self._has_place(slot):
                with suppress(self._ray.exceptions.RayError):
                    self._actors[slot].stop.remote()
            else:
                self._drop(slot)

    def kill(self) -> None:
        """See `Pool`."""
        for slot in list(self._actors):
            self._drop(slot)

    def close(self) -> None:
        """See `Pool`."""
        self.kill()

    def _answer(self, slot: int, reference: Any) -> Answer:
        del self._answers[slot]
        try:
            answer: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # the actor died, or its machine
            self._drop(slot)
            return Lost(f"was lost with its Ray actor ({type(error).__name__})")
        return answer

    def _make_room(self) -> None:
        """An idle actor keeps its cores: where another waits for some since a machine was lost, it has to go."""
        if any(not self._has_place(slot) for slot in self._answers):
            for slot in set(self._actors) - set(self._answers):
                self._drop(slot)

    def _has_place(self, slot: int) -> bool:
        ready, _ = self._ray.wait([self._places[slot]], timeout=0)
        return bool(ready)

    def _drop(self, slot: int) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actors.pop(slot))


class RayEngine:
    """A Ray cluster that is there already."""

    def __init__(
        self,
        shared: Shared,
        settings: Mapping[str, Any],
        workers: int | str,
        runs: int,
        threads: int | None,
        accelerator: str,
    ) -> None:
        self._ray = _connect({key: value for key, value in settings.items() if key != "actor"})
        there = self._ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if accelerator != "cpu" else 0
        usual = gpus or int(there.get("CPU", 1)) // (threads or 1)
        self.workers = max(1, min(usual if workers == "auto" else int(workers), runs))
        needs = {"num_cpus": threads or 1, "num_gpus": 1 if gpus else 0}
        shared = replace(shared, threads=threads or 1)
        self._pool = RayPool(self._ray, shared, self.workers, {**needs, **settings.get("actor", {})})

    def pool(self, tasks: int) -> RayPool:
        """See `Engine`; one pool for all that is to be done."""
        return self._pool

    def training(self, runs: Sequence[Prepared], *, fail_fast: bool, ended: OnEnd) -> Training:
        """See `Engine`."""
        return Training(self._pool, runs, fail_fast=fail_fast, ended=ended)

    def kill(self) -> None:
        """See `Engine`."""
        self._pool.kill()

    def close(self) -> None:
        """See `Engine`."""
        if self._ray.is_initialized():
            self._pool.close()
            self._ray.shutdown()


def _connect(settings: Mapping[str, Any]) -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError(MISSING) from error
    asked = {"address": "auto", "log_to_driver": False, "logging_level": logging.ERROR, **settings}
    try:
        _check_heard(str(asked["address"]))
        if not ray.is_initialized():
            ray.init(**asked)
    except (OSError, RuntimeError, ValueError) as error:  # a ConnectionError is an OSError
        reason = str(error).splitlines()[0]
        raise UserError(NO_CLUSTER.format(address=asked["address"], error=reason)) from error
    return ray


def _check_heard(address: str) -> None:
    """Ray itself waits for minutes where nobody listens. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host and "/" not in address and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT).close()

"""Workers on a Ray cluster: one actor each, which has a worker process on its machine.

A run is trained in a process that the actor forks, so that a run that ends its process leaves the actor alive, and the
actor can be told to stop the run. All machines must see the folder of the sweep under one path.
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
from bakeoff.workers.messages import BuiltRun, Reply, Task, WorkerContext, WorkerDied
from bakeoff.workers.pool import OnEnd, Resources
from bakeoff.workers.processes import ProcessPool
from bakeoff.workers.scheduler import RunScheduler

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
MISSING = "hydra/launcher=bakeoff_ray needs Ray, which is not installed: pip install 'bakeoff[ray]'"
CONNECT_TIMEOUT = 10.0  # seconds
NO_CLUSTER = (
    "no Ray cluster is found at {address}: start one with `ray start --head`, or name it with "
    "hydra.launcher.backend.address=HOST:PORT ({error})"
)


class WorkerActor:
    """The actor: one worker on some machine of the cluster."""

    def __init__(self, context: WorkerContext) -> None:
        self._pool = ProcessPool(context, 1)

    def ready(self) -> bool:
        """Replies as soon as the actor is scheduled."""
        return True

    def perform(self, task: Task) -> Reply:
        """Has the worker perform a task."""
        self._pool.submit(0, task)
        while True:
            for _, reply in self._pool.wait(1.0):
                return reply

    def stop(self) -> None:
        """Asks the worker to stop its run; is called while `perform` runs."""
        self._pool.stop()


class RayPool:
    """Actors in slots, each made when it is first needed; one that dies is replaced where the cluster has resources."""

    def __init__(self, ray: Any, context: WorkerContext, size: int, options: Mapping[str, Any]) -> None:
        self.size, self._ray, self._context = size, ray, context
        self._actor = ray.remote(WorkerActor).options(max_restarts=0, max_task_retries=0, max_concurrency=2, **options)
        self._actors: dict[int, Any] = {}
        self._ready: dict[int, Any] = {}  # slot -> the reply of `ready`, once the actor is scheduled
        self._replies: dict[int, Any] = {}

    def submit(self, slot: int, task: Task) -> None:
        """See `WorkerPool`."""
        if slot not in self._actors:
            self._actors[slot] = self._actor.remote(self._context)
            self._ready[slot] = self._actors[slot].ready.remote()
        self._replies[slot] = self._actors[slot].perform.remote(task)

    def wait(self, seconds: float) -> list[tuple[int, Reply]]:
        """See `WorkerPool`."""
        ready, _ = self._ray.wait(list(self._replies.values()), num_returns=len(self._replies), timeout=seconds)
        found = [(slot, reference) for slot, reference in self._replies.items() if reference in ready]
        self._release_idle_actors()
        return [(slot, self._reply(slot, reference)) for slot, reference in found]

    def stop(self) -> None:
        """See `WorkerPool`."""
        for slot in list(self._replies):
            if self._is_scheduled(slot):
                with suppress(self._ray.exceptions.RayError):
                    self._actors[slot].stop.remote()
            else:
                self._end_actor(slot)

    def kill(self) -> None:
        """See `WorkerPool`."""
        for slot in list(self._actors):
            self._end_actor(slot)

    def close(self) -> None:
        """See `WorkerPool`."""
        self.kill()

    def _reply(self, slot: int, reference: Any) -> Reply:
        del self._replies[slot]
        try:
            reply: Reply = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # the actor died, or its machine
            self._end_actor(slot)
            return WorkerDied(f"was lost with its Ray actor ({type(error).__name__})")
        return reply

    def _release_idle_actors(self) -> None:
        """An idle actor keeps its cores: it is ended where another waits for some, since a machine was lost."""
        if any(not self._is_scheduled(slot) for slot in self._replies):
            for slot in set(self._actors) - set(self._replies):
                self._end_actor(slot)

    def _is_scheduled(self, slot: int) -> bool:
        ready, _ = self._ray.wait([self._ready[slot]], timeout=0)
        return bool(ready)

    def _end_actor(self, slot: int) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actors.pop(slot))


class RayBackend:
    """A Ray cluster that is there already; see `Backend`.

    Args:
        context: what every worker gets.
        resources: what the sweep asks for.
        address: of the cluster; `auto` finds the one of this machine.
        actor: `options` of the actors, such as `num_cpus`.
        init: other arguments of `ray.init`.

    """

    def __init__(
        self,
        context: WorkerContext,
        resources: Resources,
        *,
        address: str = "auto",
        actor: Mapping[str, Any] | None = None,
        **init: Any,
    ) -> None:
        self._ray = _connect({"address": address, **_given(init)})
        available = self._ray.cluster_resources()
        gpus = int(available.get("GPU", 0)) if resources.uses_gpus else 0
        self.workers = resources.count_workers(cores=int(available.get("CPU", 1)), gpus=gpus)
        threads = resources.threads or 1
        devices = resources.devices
        options = {"num_cpus": threads * devices, "num_gpus": devices if gpus else 0, **_given(actor or {})}
        self._pool = RayPool(self._ray, replace(context, threads=threads), self.workers, options)

    def pool(self, tasks: int) -> RayPool:
        """See `Backend`; one pool for everything."""
        return self._pool

    def execution(self, runs: Sequence[BuiltRun], *, fail_fast: bool, on_end: OnEnd) -> RunScheduler:
        """See `Backend`."""
        return RunScheduler(self._pool, runs, fail_fast=fail_fast, on_end=on_end)

    def kill(self) -> None:
        """See `Backend`."""
        self._pool.kill()

    def close(self) -> None:
        """See `Backend`."""
        if self._ray.is_initialized():
            self._pool.close()
            self._ray.shutdown()


def _connect(settings: Mapping[str, Any]) -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError(MISSING) from error
    asked = {"log_to_driver": False, "logging_level": logging.ERROR, **settings}
    try:
        _check_listening(str(asked["address"]))
        if not ray.is_initialized():
            ray.init(**asked)
    except (OSError, RuntimeError, ValueError) as error:  # a ConnectionError is an OSError
        reason = str(error).splitlines()[0]
        raise UserError(NO_CLUSTER.format(address=asked["address"], error=reason)) from error
    return ray


def _check_listening(address: str) -> None:
    """Ray itself waits for minutes where nobody listens. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host and "/" not in address and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT).close()


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: that is left to Ray."""
    return {key: value for key, value in settings.items() if value is not None}

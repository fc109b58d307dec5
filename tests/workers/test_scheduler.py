"""Runs are trained whatever becomes of the workers: a pool of scripted ones, without processes."""

import json
import os
from collections import deque

import pytest

from bakeoff.runs import Outcome
from bakeoff.runs.lease import acquire
from bakeoff.workers import BuiltRun, Job, RunResult, WorkerDied
from bakeoff.workers import scheduler as module
from bakeoff.workers.scheduler import MAX_DEATHS, Dispatcher, RunScheduler

COMPLETED = RunResult("completed", 1.0)
DIED = WorkerDied("was killed by SIGKILL, possibly out of memory")
STOPPED = RunResult("interrupted")  # a worker that was asked to stop, by its SIGTERM or by the launcher


class ScriptedPool:
    """`replies` are what each run gets, by number, one after the other; then it completes."""

    def __init__(self, size, replies=None):
        self.size, self.replies = size, {number: deque(found) for number, found in (replies or {}).items()}
        self.busy, self.submitted, self.is_stopped = {}, [], False

    def submit(self, slot, task):
        assert slot not in self.busy
        assert slot < self.size
        self.busy[slot] = task
        self.submitted.append(number_of(task))

    def wait(self, seconds):
        if not self.busy:
            return []
        slot, task = next(iter(self.busy.items()))
        del self.busy[slot]
        found = self.replies.get(number_of(task))
        return [(slot, found.popleft() if found else STOPPED if self.is_stopped else COMPLETED)]

    def stop(self):
        self.is_stopped = True

    def kill(self):
        raise AssertionError("nobody asked for that")

    def close(self):
        raise AssertionError("the pool is not the scheduler's to close")


def number_of(task):
    return task.number if isinstance(task, Job) else task.job.number


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(module, "LEASE_INTERVAL", 0.01)


@pytest.fixture
def runs(tmp_path):
    def built(number):
        folder = tmp_path / "arm" / f"seed={number}"
        return BuiltRun(Job(number, ()), str(folder), f"identity{number}", {}, "val/accuracy", "max", b"")

    return [built(number) for number in range(4)]


@pytest.fixture
def schedule(runs):
    """`schedule({0: [DIED]}, workers=2)` -> how each run ended, in that order; the pool; the scheduler."""

    def run(replies=None, *, workers=2, fail_fast=False, meanwhile=lambda scheduler, ended: None):
        pool, ended = ScriptedPool(workers, replies), {}
        scheduler = RunScheduler(
            pool, runs, fail_fast=fail_fast, on_end=lambda run, result: ended.update({run.job.number: result})
        )
        for _ in scheduler.run():
            assert len(scheduler.running) <= workers + len(runs)
            meanwhile(scheduler, ended)
        return ended, pool, scheduler

    return run


def test_every_run_is_trained_once_in_order(schedule):
    ended, pool, scheduler = schedule()
    assert ended == dict.fromkeys(range(4), COMPLETED)
    assert pool.submitted == [0, 1, 2, 3]
    assert (scheduler.stopped, scheduler.running) == (None, [])


def test_bad_ends_are_results(schedule):
    failed, diverged = RunResult("failed", reason="ValueError: x"), RunResult("diverged")
    ended, _, scheduler = schedule({1: [failed], 2: [diverged]})
    assert ended == {0: COMPLETED, 1: failed, 2: diverged, 3: COMPLETED}
    assert scheduler.stopped is None


@pytest.mark.parametrize("reply", [DIED, STOPPED], ids=["died", "told to stop by SIGTERM"])
def test_a_run_whose_worker_is_lost_is_resumed_next(schedule, reply):
    ended, pool, scheduler = schedule({0: [reply] * (MAX_DEATHS - 1)}, workers=1)
    assert ended == dict.fromkeys(range(4), COMPLETED)
    assert pool.submitted == [0] * MAX_DEATHS + [1, 2, 3]
    assert scheduler.stopped is None


def test_a_run_that_kills_its_workers_fails_and_is_recorded(schedule, runs, tmp_path):
    folder = tmp_path / "arm" / "seed=1"
    folder.mkdir(parents=True)
    Outcome({}, 1, "identity1", []).write(folder)
    ended, pool, scheduler = schedule({1: [DIED] * MAX_DEATHS})
    message = f"the process that trained it {DIED.how}, {MAX_DEATHS} times"
    assert ended[1] == RunResult("failed", reason=message)
    assert [ended[number] for number in (0, 2, 3)] == [COMPLETED] * 3
    assert pool.submitted.count(1) == MAX_DEATHS
    record = json.loads((folder / "outcome.json").read_text())
    assert (record["status"], record["error"]["type"], record["error"]["message"]) == ("failed", "ProcessDied", message)
    assert scheduler.stopped is None
    assert os.listdir(folder) == ["outcome.json"]  # the lease is released


def test_the_first_failure_ends_a_sweep_that_asks_for_it(schedule):
    ended, pool, scheduler = schedule({0: [RunResult("failed", reason="ValueError: x")]}, workers=2, fail_fast=True)
    assert scheduler.stopped == "fail_fast=true, and a run failed: ValueError: x"
    assert pool.is_stopped
    assert {number: result.status for number, result in ended.items()} == {0: "failed", 1: "interrupted"}


def test_a_disk_that_is_full_is_full_for_all(schedule):
    full = RunResult("interrupted", reason="cannot write to outputs: No space left on device")
    ended, pool, scheduler = schedule({0: [full]}, workers=1)
    assert (scheduler.stopped, ended) == (full.reason, {0: full})
    assert pool.submitted == [0]


def test_a_stop_starts_nothing_more(schedule):
    def stop_after_one(scheduler, ended):
        if ended:
            scheduler.stop("stopped")
            scheduler.stop("another reason")

    ended, pool, scheduler = schedule(workers=2, meanwhile=stop_after_one)
    assert scheduler.stopped == "stopped"
    assert {number: result.status for number, result in ended.items()} == {0: "completed", 1: "interrupted"}
    assert pool.submitted == [0, 1]


def test_a_worker_that_dies_after_a_stop_is_not_replaced(schedule):
    def stop_after_one(scheduler, ended):
        if ended:
            scheduler.stop("stopped")

    ended, pool, _ = schedule({1: [DIED]}, workers=2, meanwhile=stop_after_one)
    assert ended == {0: COMPLETED, 1: RunResult("interrupted")}
    assert pool.submitted == [0, 1]


def test_what_another_process_trains_is_left_to_it_and_taken_over_when_it_ends(schedule, runs, tmp_path):
    lease = acquire(tmp_path / "arm" / "seed=0")
    states = []

    def meanwhile(scheduler, ended):
        if len(ended) == 3:
            states.append([run.job.number for run in scheduler.running])
            if len(states) == 5:
                lease.release()

    ended, pool, scheduler = schedule({0: [RunResult("elsewhere")]}, meanwhile=meanwhile)
    assert ended == dict.fromkeys((1, 2, 3, 0), COMPLETED)
    assert pool.submitted == [0, 1, 2, 3, 0]
    assert states[:5] == [[0]] * 5
    assert scheduler.stopped is None


def test_a_stop_waits_for_no_other_command(schedule, tmp_path):
    def meanwhile(scheduler, ended):
        if len(ended) == 3:
            scheduler.stop("stopped")

    with acquire(tmp_path / "arm" / "seed=0"):
        ended, _, scheduler = schedule({0: [RunResult("elsewhere")]}, meanwhile=meanwhile)
    assert set(ended) == {1, 2, 3}
    assert scheduler.running == []


def test_a_dispatcher_keeps_every_slot_busy_while_there_are_tasks():
    jobs: deque[Job | BuiltRun] = deque(Job(number, ()) for number in range(5))
    pool = ScriptedPool(3)
    dispatcher, busy, seen = Dispatcher(pool, jobs), [], []
    for message in dispatcher.replies():
        task, reply = message
        seen.append((task.number, reply))
        busy.append(len(dispatcher.running))
    assert seen == [(number, COMPLETED) for number in (0, 1, 2, 3, 4)]
    assert max(busy) == 2  # of three, one has just replied
    assert not dispatcher.tasks

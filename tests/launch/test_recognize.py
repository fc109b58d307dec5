"""Finished runs are recognized by their commands; where data must be loaded for that, one run of it is built."""

from typing import Any

import pytest

from bakeoff.launch.plan import plan
from bakeoff.runs import Outcome, ReuseRule
from bakeoff.runs.fingerprint import command_fingerprint
from bakeoff.workers import BuiltRun, Job


class Pool:
    """Builds each job at once, as the run of that identity; `built` are the numbers of the jobs that it was given."""

    size = 1

    def __init__(self, identity):
        self.identity, self.built = identity, []

    def submit(self, slot, task):
        self.task = task
        self.built.append(task.number)

    def wait(self, seconds):
        identity = self.identity(self.task.number)
        finished = "completed" if identity.startswith("same") else None
        folder = f"folder-{self.task.number}"
        return [(0, BuiltRun(self.task, folder, identity, {}, "val/accuracy", "max", b"", finished))]


@pytest.fixture
def planned(tmp_path):
    """`planned(data, identity)`: a plan of jobs whose runs are finished, and which of them were built.

    `data` names the data of each; `identity` gives the identity of a job that is built: `same<n>` for what was there.
    """

    def make(data, identity, **rule):
        jobs = [Job(number, (f"seed={number}",)) for number in range(len(data))]
        for job, name in zip(jobs, data, strict=True):
            fingerprint = {"command": command_fingerprint(job.overrides, "c"), "files": {}, "data": name}
            folder = tmp_path / "arm" / f"seed={job.number}"
            folder.mkdir(parents=True)
            outcome = Outcome({}, job.number, f"same{job.number}", [], "completed", fingerprint=fingerprint)
            outcome.write(folder)
        pool: Any = Pool(identity)
        found = plan(jobs, tmp_path, "c", ReuseRule(**rule), lambda tasks: pool)
        return found, pool.built

    return make


def same(number):
    return f"same{number}"


def test_what_needs_no_data_is_not_built(planned):
    found, built = planned([None, None, None], same)
    assert (sorted(found.known), found.to_train(), built) == ([0, 1, 2], [], [])


def test_one_run_of_each_data_set_is_built(planned):
    found, built = planned(["a", "a", None, "b", "b", "a"], same)
    assert built == [0, 3]
    assert (sorted(found.known), sorted(found.built), found.to_train()) == ([1, 2, 4, 5], [0, 3], [])
    assert list(found.finished()) == [1, 2, 4, 5, 0, 3]


def test_all_runs_of_changed_data_are_built(planned):
    found, built = planned(["a", "a", "b", "b"], lambda number: f"same{number}" if number > 1 else f"new{number}")
    assert built == [0, 2, 1]
    assert sorted(run.job.number for run in found.to_train()) == [0, 1]
    assert sorted(found.known) == [3]


def test_what_is_to_be_trained_again_is_built(planned):
    _, built = planned(["a", None], same, reuse="never")
    assert built == [0, 1]

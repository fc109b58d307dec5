"""How many workers a sweep has, and how many threads each."""

import pytest

from bakeoff.workers import Resources
from bakeoff.workers.local import _in_sets


@pytest.mark.parametrize(
    ("workers", "runs", "threads", "cores", "gpus", "expected"),
    [
        ("auto", 100, None, 8, 0, (8, 1)),
        ("auto", 3, None, 8, 0, (3, 2)),  # no more than runs; they share out the cores
        ("auto", 1, None, 8, 0, (1, 8)),
        ("auto", 100, 2, 8, 0, (4, 2)),
        ("auto", 100, 3, 8, 0, (2, 3)),
        ("auto", 100, 16, 8, 0, (1, 16)),  # two would fight over the cores
        (3, 100, None, 8, 0, (3, 2)),
        (20, 100, None, 8, 0, (20, 1)),
        (20, 5, None, 8, 0, (5, 1)),
        ("auto", 100, None, 8, 2, (2, 4)),  # one a GPU
        ("auto", 1, None, 8, 2, (1, 8)),
        (6, 100, None, 8, 2, (6, 1)),
        ("auto", 100, 4, 8, 2, (2, 4)),
    ],
)
def test_workers_and_threads(workers, runs, threads, cores, gpus, expected):
    resources = Resources(workers, runs, threads, "auto")
    count = resources.count_workers(cores=cores, gpus=gpus)
    assert (count, resources.threads_per_worker(cores=cores, workers=count)) == expected


@pytest.mark.parametrize(
    ("workers", "threads", "gpus", "expected"),
    [
        ("auto", None, 8, (4, 2)),
        ("auto", 1, 0, (8, 1)),
        ("auto", None, 0, (8, 1)),
        (2, None, 8, (2, 4)),
        ("auto", None, 1, (1, 8)),
    ],
)
def test_a_run_on_two_devices_takes_two(workers, threads, gpus, expected):
    resources = Resources(workers, 100, threads, "auto", devices=2)
    count = resources.count_workers(cores=16, gpus=gpus)
    assert (count, resources.threads_per_worker(cores=16, workers=count)) == expected


@pytest.mark.parametrize(
    ("gpus", "size", "expected"),
    [("0123", 2, ["0,1", "2,3"]), ("012", 2, ["0,1"]), ("0", 2, ["0"]), ("", 2, []), ("01", 1, ["0", "1"])],
)
def test_each_worker_has_gpus_of_its_own(gpus, size, expected):
    assert _in_sets(list(gpus), size) == expected


@pytest.mark.parametrize(("accelerator", "uses"), [("auto", True), ("gpu", True), ("cuda", True), ("cpu", False)])
def test_gpus_are_used_unless_the_cpu_is_asked_for(accelerator, uses):
    assert Resources("auto", 1, None, accelerator).uses_gpus is uses

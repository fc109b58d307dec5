"""Worker processes: what becomes of one that dies, and of the processes that a user's loaders start in one."""

import json
import multiprocessing
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.types import HydraContext
from omegaconf import OmegaConf

from bakeoff.launch.register import register_with_hydra
from bakeoff.workers import InvalidRun, Job, WorkerContext, WorkerDied
from bakeoff.workers.processes import ProcessPool

MODULE = """
import multiprocessing
import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset


class Data(pl.LightningDataModule):
    num_classes = 2

    def __init__(self):
        super().__init__()
        self.batch_size = 1
        x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
        self.data = TensorDataset(x, (x.sum(1) > 0).long())

    def train_dataloader(self):
        with open("methods.txt", "a") as file:
            file.write(multiprocessing.get_start_method() + "\\n")
        return DataLoader(self.data, batch_size=self.batch_size, shuffle=True, num_workers=2)

    def val_dataloader(self):
        return DataLoader(self.data, batch_size=100, num_workers=1)
"""
RUNS = ["data._target_=mine.Data", "budget.epochs=2", "batch_size=32", "trainer=cpu", "trainer.threads=1"]


def metrics(root):
    return {p.parent.name: json.loads(p.read_text())["metrics"] for p in root.rglob("outcome.json")}


def test_loaders_start_processes_as_they_do_without_a_worker(bakeoff, tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    assert bakeoff("-m", *RUNS, "seed=0,1").status == 0
    methods = set((tmp_path / "methods.txt").read_text().split())
    assert methods == {multiprocessing.get_start_method()}
    sweep = metrics(tmp_path / "outputs" / "main")
    for seed in (0, 1):
        assert bakeoff(*RUNS, f"seed={seed}", "sweep=single").status == 0
    assert metrics(tmp_path / "outputs" / "single") == sweep


@pytest.fixture
def pool(tmp_path):
    """Two workers, for whom there is nothing to compose: every job is invalid."""
    hydra = HydraContext(ConfigLoaderImpl(ConfigSearchPathImpl()), Callbacks())
    made = ProcessPool(WorkerContext(hydra, OmegaConf.create(), "", register_with_hydra, str, folder=str(tmp_path)), 2)
    yield made
    made.kill()
    made.close()


def reply_of(pool, slot, job=None):
    """What the worker of a slot replies, to a job or to what has been done to it."""
    if job is not None:
        pool.submit(slot, job)
    while True:
        for found, reply in pool.wait(1.0):
            assert found == slot
            return reply


def process_of(pool, slot):
    return pool._workers[slot][0]


def test_a_slot_whose_worker_died_works_again(pool):
    job = Job(7, ())
    assert isinstance(reply_of(pool, 0, job), InvalidRun)
    first = process_of(pool, 0)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert reply_of(pool, 0, job) == WorkerDied("was killed by SIGKILL, possibly out of memory")
    again = reply_of(pool, 0, job)
    assert (type(again), again.job) == (InvalidRun, job)
    assert process_of(pool, 0).pid != first.pid
    assert isinstance(reply_of(pool, 1, job), InvalidRun)


def test_a_worker_that_is_told_to_stop_is_replaced_by_another(pool):
    assert isinstance(reply_of(pool, 0, Job(0, ())), InvalidRun)
    first = process_of(pool, 0)
    os.kill(first.pid, signal.SIGTERM)  # as a scheduler does; it ends at once, or when it has performed one more task
    replies = [reply_of(pool, 0, Job(number, ())) for number in range(4)]
    assert [reply for reply in replies if isinstance(reply, WorkerDied)] == [WorkerDied("ended with exit status 0")]
    assert isinstance(replies[-1], InvalidRun)
    assert process_of(pool, 0).pid != first.pid


def test_nobody_is_left_when_the_pool_is_closed(pool):
    for slot in (0, 1):
        assert isinstance(reply_of(pool, slot, Job(slot, ())), InvalidRun)
    processes = [process_of(pool, slot).pid for slot in (0, 1)]
    assert all(psutil.pid_exists(process) for process in processes)
    pool.close()
    assert not [process for process in processes if psutil.pid_exists(process)]


def test_ctrl_c_reaches_no_process_that_is_being_started(pool):
    """It reaches all of a terminal; the fork server would print a trace while it imports."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert isinstance(reply_of(pool, 0, Job(0, ())), InvalidRun)
    worker = psutil.Process(process_of(pool, 0).pid)
    (blocked,) = re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{worker.ppid()}/status").read_text())
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before

"""Processes of a user's loaders start in a worker as they do without one."""

import json
import multiprocessing

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

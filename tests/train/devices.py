"""Trains a run on several devices, which are processes on the CPU here."""

import multiprocessing

import torch
from torch.utils.data import Dataset

from bakeoff.train import RunSession, train

POINTS = f"{__name__}.Points"
STEPS = ("budget.epochs=2", "trainer.log_every_n_steps=1", "checkpoints=all")


def on(devices, make_run, folder, *command, **options):
    """The outcome; `options` are those of `RunSession`."""
    run = make_run(*STEPS, *command, f"trainer.devices={devices}").run
    return train(RunSession(run, folder, **options))


def other_processes():
    """Those of a run; tests before may have left workers of sweeps."""
    return [process for process in multiprocessing.active_children() if process.name.startswith("bakeoff-device")]


def checkpoint(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


class Points(Dataset):
    """61 of them are trained on: of the last batch of 29 one process takes 15 and the other 14."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(101, 5, generator=generator)
        self.targets = (self.x.sum(1) > 0).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], int(self.targets[i])

"""Trains a run on several devices, which are processes on the CPU here."""

import multiprocessing

import torch

from bakeoff.train import RunSession, train

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

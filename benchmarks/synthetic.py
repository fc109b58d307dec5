"""A sweep of any size, written to disk as runs write theirs, without training: made-up curves of arms that differ."""

import json
import random
from itertools import product
from pathlib import Path

from bakeoff.runs import Outcome, folder_name
from bakeoff.tensorboard import EventFile

OPTIMIZERS, LOSSES, BATCH_SIZES = ("sgd", "rmsprop", "adam"), ("cross_entropy", "mse", "hinge"), (16, 128, "full")
METRICS = ("train/loss", "val/loss", "val/accuracy")
SAMPLES = {16: 16, 128: 128, "full": 1077}


def write_sweep(
    folder: Path, *, runs: int, seeds: int = 3, points: int = 200, metrics: tuple[str, ...] = METRICS
) -> None:
    """Arms of 3 optimizers x 3 losses x 3 batch sizes x as many learning rates as `runs` needs."""
    draw = random.Random(0)
    grid = product(range(-(-runs // (27 * seeds))), OPTIMIZERS, LOSSES, BATCH_SIZES)
    arms = [
        {"optimizer": optimizer, "loss": loss, "batch_size": batch_size, "optimizer.lr": round(0.001 * 1.5**rate, 6)}
        for rate, optimizer, loss, batch_size in grid
    ]
    written = 0
    for arm, seed in product(arms, range(seeds)):
        if written < runs:
            write_run(folder, arm, seed, points, draw)
            written += 1


def write_run(sweep: Path, arm: dict[str, object], seed: int, points: int, draw: random.Random) -> None:
    run = sweep / folder_name(arm) / f"seed={seed}"
    file = EventFile(run, flush_secs=1e9)
    last = {metric: draw.random() for metric in METRICS}
    for point in range(1, points + 1):
        last = {metric: value + draw.gauss(0, 0.01) for metric, value in last.items()}
        samples = point * 10 * SAMPLES[arm["batch_size"]]
        axes = {"axis/samples": samples, "axis/epochs": samples / 1077, "axis/seconds": point * 0.01}
        file.scalars({**last, **axes}, point * 10)
    file.close()
    overrides = [f"{key}={json.dumps(value)}" for key, value in arm.items()] + [f"seed={seed}"]
    outcome = Outcome(arm, seed, f"{folder_name(arm)}{seed}", overrides, status="completed", steps=points * 10)
    outcome.metrics = {m: {"final": value, "best": value, "best_step": points * 10} for m, value in last.items()}
    outcome.write(run)

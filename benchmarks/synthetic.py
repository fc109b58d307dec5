"""A sweep of any size, written to disk as runs write theirs, without training: made-up curves of arms that differ.

python benchmarks/synthetic.py outputs/synthetic --runs 81
python benchmarks/synthetic.py outputs/own --metric val/perplexity --direction min      # a metric of a user's own
"""

import argparse
import json
import random
from itertools import islice, product
from pathlib import Path

from bakeoff.runs import Outcome, find_metric, folder_name
from bakeoff.tensorboard import EventFile

OPTIMIZERS, LOSSES, BATCH_SIZES = ("sgd", "rmsprop", "adam"), ("cross_entropy", "mse", "hinge"), (16, 128, "full")
METRICS = ("train/loss", "val/loss", "val/accuracy")
SAMPLES = {16: 16, 128: 128, "full": 1077}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=81)
    parser.add_argument("--metric", default="val/accuracy", help="what ranks; added to the others if it is your own")
    parser.add_argument("--direction", choices=("min", "max"), help="what the runs state of it")
    given = parser.parse_args()
    metrics = tuple(dict.fromkeys((*METRICS, given.metric)))
    write_sweep(given.folder, runs=given.runs, metrics=metrics, metric=given.metric, direction=given.direction)


def write_sweep(
    folder: Path,
    *,
    runs: int,
    seeds: int = 3,
    points: int = 200,
    metrics: tuple[str, ...] = METRICS,
    metric: str = "val/accuracy",
    direction: str | None = None,
) -> None:
    """Arms of 3 optimizers x 3 losses x 3 batch sizes x as many learning rates as `runs` needs."""
    draw = random.Random(0)
    grid = product(range(-(-runs // (27 * seeds))), OPTIMIZERS, LOSSES, BATCH_SIZES)
    arms = [
        {"optimizer": optimizer, "loss": loss, "batch_size": batch_size, "optimizer.lr": round(0.001 * 1.5**rate, 6)}
        for rate, optimizer, loss, batch_size in grid
    ]
    for arm, seed in islice(product(arms, range(seeds)), runs):
        run = folder / folder_name(arm) / f"seed={seed}"
        last = write_curves(run, SAMPLES[arm["batch_size"]], points, metrics, draw)
        overrides = [f"{key}={json.dumps(value)}" for key, value in arm.items()] + [f"seed={seed}"]
        outcome = Outcome(arm, seed, f"{folder_name(arm)}{seed}", overrides, status="completed", steps=points * 10)
        outcome.metric, outcome.metric_direction = metric, direction
        outcome.metrics = {
            name: summary(value, points * 10, has_best=bool(find_metric(name) or direction))
            for name, value in last.items()
        }
        outcome.write(run)


def write_curves(
    run: Path, samples_per_step: int, points: int, metrics: tuple[str, ...], draw: random.Random
) -> dict[str, float]:
    """A random walk for each metric; gives its last value."""
    file = EventFile(run, flush_secs=1e9)
    last = {metric: draw.random() for metric in metrics}
    for point in range(1, points + 1):
        last = {metric: value + draw.gauss(0, 0.01) for metric, value in last.items()}
        samples = point * 10 * samples_per_step
        axes = {"axis/samples": samples, "axis/epochs": samples / 1077, "axis/seconds": point * 0.01}
        file.scalars({**last, **axes}, point * 10)
    file.close()
    return last


def summary(value: float, step: int, *, has_best: bool) -> dict[str, float | int | None]:
    best: dict[str, float | int | None] = {"best": value, "best_step": step} if has_best else {}
    return {"final": value, **best}


if __name__ == "__main__":
    main()

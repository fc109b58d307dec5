"""What a sweep costs beside its runs: skipping, launching, starting workers, checkpoints.

    python benchmarks/sweeps.py                                         # skipping, listing, starting; a sweep of 3 min
    python benchmarks/sweeps.py --checkpoints --root /path/to/data      # checkpoints of a Fashion-MNIST epoch with cnn

Every command is run as a user runs it, in a process of its own, and timed from outside. The sweep is trained by our
launcher and by Hydra's basic one, in turns, with as many threads a run. What the launcher itself takes is the time of
the command less the longest that the runs of one worker took together.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import hardware
import steps
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.types import HydraContext
from omegaconf import OmegaConf

from bakeoff.launch.register import register_with_hydra
from bakeoff.train import RunSession, silence, train_solo
from bakeoff.workers import Job, WorkerContext
from bakeoff.workers.processes import ProcessPool

FINISHED = ["optimizer=sgd,rmsprop,adam,adamw", "batch_size=16,32,64,128,full", "seed=range(0,50)", "budget.steps=1"]
LONG = ["optimizer=sgd,rmsprop,adam", "loss=cross_entropy,mse", "batch_size=16,32", "seed=range(0,4)"]
EACH = ["trainer=cpu", "trainer.threads=1"]
BASIC = ["hydra/launcher=basic", "hydra/sweeper=basic"]
CNN = ["data=fashion_mnist", "model=cnn", "optimizer=adam", "optimizer.lr=2.5e-4", "batch_size=128"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--steps", type=int, default=26000, help="of each run of the long sweep: 3 minutes with 2 cores"
    )
    parser.add_argument("--pairs", type=int, default=1, help="of the long sweep by either launcher")
    parser.add_argument("--only", choices=("skipping", "starting", "sweep"), help="one part alone")
    parser.add_argument("--checkpoints", action="store_true", help="measure what they cost in place of all else")
    parser.add_argument("--epochs", type=int, default=3, help="of Fashion-MNIST, each with and without checkpoints")
    parser.add_argument("--root", default="data", help="the folder that holds FashionMNIST/raw")
    arguments = parser.parse_args()
    print(hardware.describe())
    if arguments.checkpoints:
        checkpoints(os.path.abspath(arguments.root), arguments.epochs)
        return
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "skipping": lambda: skipping(folder),
            "starting": lambda: starting(folder),
            "sweep": lambda: sweep(folder, arguments.steps, arguments.pairs),
        }
        for name, part in parts.items():
            if arguments.only in (None, name):
                part()


def bakeoff(folder: str, *words: str) -> float:
    """Seconds that the command takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bakeoff", *words], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def skipping(folder: str) -> None:
    command = ["-m", *FINISHED, *EACH, "sweep=finished"]
    trained = bakeoff(folder, *command)
    runs = len(list(Path(folder).glob("outputs/finished/*/seed=*/outcome.json")))
    print(f"\n{runs} finished runs (trained in {trained:.0f} s, one step each)")
    print(f"  the same command again: {median(bakeoff(folder, *command) for _ in range(3)):.2f} s")
    listing = [sys.executable, "-m", "bakeoff.report.runs_command", "outputs/finished"]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(listing, cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    print(f"  bakeoff-runs: {median(times):.2f} s")


def starting(folder: str) -> None:
    """From nothing to the first reply of a worker, and of the next ones."""
    context = HydraContext(ConfigLoaderImpl(ConfigSearchPathImpl()), Callbacks())
    pool = ProcessPool(WorkerContext(context, OmegaConf.create(), "", register_with_hydra, str, folder=folder), 1)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        pool.submit(0, Job(0, ()))  # there is nothing to compose: the reply is that the run is invalid
        while not pool.wait(1.0):
            pass
        times.append(time.perf_counter() - started)
        pool.close()
    print(
        f"\na worker replies after {times[0]:.2f} s, the next ones after {median(times[1:]):.2f} s (at most "
        f"{max(times[1:]):.2f})"
    )


def sweep(folder: str, of_steps: int, pairs: int) -> None:
    command = ["-m", *LONG, *EACH, f"budget.steps={of_steps}"]
    for pair in range(pairs):
        ours = bakeoff(folder, *command, f"sweep=ours{pair}", "workers=2")
        basic = bakeoff(folder, *command, f"sweep=basic{pair}", *BASIC)
        by_worker: dict[int, float] = defaultdict(float)
        records = [json.loads(p.read_text()) for p in Path(folder).glob(f"outputs/ours{pair}/*/seed=*/outcome.json")]
        for record in records:
            by_worker[record["process"]] += record["seconds"]
        own = ours - max(by_worker.values())
        print(f"\na sweep of {len(records)} runs, {of_steps} steps each, one thread a run")
        print(
            f"  our launcher, 2 workers: {ours:.0f} s; Hydra's basic launcher: {basic:.0f} s; {basic / ours:.2f} times"
        )
        print(
            f"  the runs of the busier worker took {max(by_worker.values()):.0f} s; beside them "
            f"{own:.1f} s, {own / max(by_worker.values()):.1%}"
        )


def checkpoints(root: str, epochs: int) -> None:
    register_with_hydra()
    silence()
    spent: dict[str, list[float]] = {"all": [], "none": []}
    command = [*CNN, f"data.root='{root}'", "budget.epochs=1", "trainer=cpu"]
    for epoch in range(epochs):
        for mode in ("all", "none") if epoch % 2 else ("none", "all"):
            with tempfile.TemporaryDirectory() as folder:
                run = steps.prepare([*command, f"checkpoints={mode}"])
                started = time.perf_counter()
                outcome = train_solo(RunSession(run, Path(folder) / "arm" / "seed=0"))
                spent[mode].append(time.perf_counter() - started)
                assert outcome.status == "completed", outcome.error
    ratios = [a / b - 1 for a, b in zip(spent["all"], spent["none"], strict=True)]
    print(
        f"\nan epoch of Fashion-MNIST with cnn and Adam, {epochs} pairs: {min(spent['none']):.1f} s without checkpoints"
    )
    print(
        f"  with them (every 10 s, best and last) {median(ratios):.1%} more (from {min(ratios):.1%} to "
        f"{max(ratios):.1%}); of the fastest {min(spent['all']) / min(spent['none']) - 1:.1%}"
    )


if __name__ == "__main__":
    main()

"""Chooses the demo's learning rates: one for each optimizer and loss, on validation data alone.

    python benchmarks/tune_demo.py [--root FOLDER]

Every optimizer gets six candidates, a factor of about 3 apart, around its common default. A candidate's score is the
mean final val/accuracy over the demo's three batch sizes and two seeds that the demo does not use; a candidate with a
run that diverged or failed is out. 324 runs, a few minutes on 2 cores. Prints the table for conf/experiment/demo.yaml.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from bakeoff.report import read_sweep

CANDIDATES = {
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "rmsprop": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
}
METRIC = "val/accuracy"
SWEEP = "demo_tuning"


def main() -> None:
    parser = argparse.ArgumentParser(description="Choose the demo's learning rates on validation data.")
    parser.add_argument("--root", default="outputs")
    root = parser.parse_args().root
    for optimizer, rates in CANDIDATES.items():
        launch(root, optimizer, rates)
    scores = score(Path(root) / SWEEP)
    print(f"\nmean final {METRIC} over batch sizes and seeds; -: a run did not complete")
    for optimizer, rates in CANDIDATES.items():
        for loss in ("cross_entropy", "mse", "hinge"):
            row = {rate: scores.get((optimizer, loss, rate)) for rate in rates}
            cells = "  ".join(f"{rate:g}: {'-' if s is None else format(s, '.4f')}" for rate, s in row.items())
            best = max((s, rate) for rate, s in row.items() if s is not None)[1]
            print(f"{optimizer:8} {loss:14} {cells}   -> {best:g}")


def launch(root: str, optimizer: str, rates: tuple[float, ...]) -> None:
    command = [sys.executable, "-m", "bakeoff", "-m", "experiment=demo", f"root={root}", f"sweep={SWEEP}"]
    command += [f"optimizer={optimizer}", "loss=cross_entropy,mse,hinge", "batch_size=16,128,full"]
    command += [f"optimizer.lr={','.join(map(str, rates))}", "seed=100,101"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def score(sweep: Path) -> dict[tuple[str, str, float], float]:
    values, out = defaultdict(list), set()
    for record in read_sweep(sweep).records:
        arm = record.arm
        key = (str(arm["optimizer"]), str(arm["loss"]), float(arm["optimizer.lr"]))
        final = record.final(METRIC)
        if record.status == "completed" and final is not None:
            values[key].append(final)
        else:
            out.add(key)
    return {key: mean(scores) for key, scores in values.items() if key not in out}


if __name__ == "__main__":
    main()

"""Times and accuracy of the demo and of a Fashion-MNIST CNN on one device.

    python benchmarks/device.py --trainer gpu --root /path/to/data

Runs the demo sweep (81 runs on digits) and `data=fashion_mnist model=cnn`, two epochs, in full and in mixed precision,
and prints wall time, start-up included, beside what the outcomes say. Needs FashionMNIST/raw under --root.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import hardware

from bakeoff.report import Record, read_sweep

DEMO = [
    "-m", "optimizer=sgd,rmsprop,adam", "loss=cross_entropy,mse,hinge", "batch_size=16,128,full", "seed=0,1,2",
    "experiment=demo",
]  # fmt: skip
CNN = ["model=cnn", "optimizer=adam", "optimizer.lr=2.5e-4", "batch_size=128", "data=fashion_mnist"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trainer", default="auto", choices=("auto", "cpu", "gpu"))
    parser.add_argument("--root", default="data", help="the folder that holds FashionMNIST/raw")
    parser.add_argument("--epochs", type=float, default=2.0, help="of the CNN")
    arguments = parser.parse_args()
    print(hardware.describe())
    cnn = [*CNN, f"data.root='{arguments.root}'", f"budget.epochs={arguments.epochs}"]
    measure("demo, 81 runs", DEMO, arguments.trainer)
    measure("Fashion-MNIST, cnn", cnn, arguments.trainer)
    measure("Fashion-MNIST, cnn, bf16-mixed", [*cnn, "trainer.precision=bf16-mixed"], arguments.trainer)


def measure(name: str, overrides: list[str], trainer: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bakeoff", *overrides, f"trainer={trainer}", f"root={folder}", "sweep=timed"]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - started
        records = read_sweep(Path(folder) / "timed").records
    inside = sum(record.seconds for record in records)
    scores = "  ".join(f"{metric} {average(records, metric):.4f}" for metric in ("val/accuracy", "test/accuracy"))
    print(f"{name:32} {len(records):3} runs on {records[0].device}: {wall:6.1f} s, {inside:6.1f} s in runs  {scores}")


def average(records: Sequence[Record], metric: str) -> float:
    finals = [record.final(metric) for record in records if record.status == "completed"]
    return float(mean(value for value in finals if value is not None))


if __name__ == "__main__":
    main()

"""What bakeoff adds to steps of 5 ms or more: to a LightningModule of a user's own, and to dense outputs.

    python benchmarks/own_module.py --pairs 15

A user's module with a user's data module, run by bakeoff, is compared with `Trainer.fit` of the same two, with
Lightning's defaults. A net with outputs (N, C, H, W) in our module is compared with a bare loop over the same loader.
CPU time of the process, one thread; slope between a short and a long run, so that start-up, validation and test do not
count. Pairs are interleaved, in an order that changes.
"""

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import chain, islice, repeat
from pathlib import Path
from statistics import median

import hardware
import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from steps import prepare
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.launch.register import register_with_hydra
from bakeoff.stats import mean_interval
from bakeoff.train import Run, RunSession, silence, train_solo
from bakeoff.train.parts import OwnModuleParts

Timer = Callable[[int], float]  # steps -> CPU seconds
SHORT, LONG = 20, 220
CLASSES, SIDE = 4, 32


class LitNet(pl.LightningModule):
    """As users write them; a step is 5 ms of arithmetic or more."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        self.log("val_acc", (self.net(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Vectors(pl.LightningDataModule):
    """2560 samples to train on: 20 batches of 128."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size = 128

    def train_dataloader(self) -> DataLoader:
        return DataLoader(_vectors(2560), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(_vectors(128), batch_size=128)


def _vectors(n: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(n, 64, generator=generator), torch.randint(10, (n,), generator=generator))


class Pixels(nn.Sequential):
    """Outputs (N, C, H, W)."""

    def __init__(self) -> None:
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(16, CLASSES, 1))


class Images(Dataset):
    """A class for each pixel."""

    num_classes = CLASSES

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(2000, 1, SIDE, SIDE, generator=generator)
        self.y = (self.x[:, 0] * 2 + 2).long().clamp(0, CLASSES - 1)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.x[i], self.y[i]


def ours(overrides: list[str]) -> Timer:
    def run(steps: int) -> float:
        prepared = _prepared(overrides, steps)
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            outcome = train_solo(RunSession(prepared, Path(folder)))
            elapsed = time.process_time() - started
        assert outcome.status == "completed", outcome.error
        return elapsed

    return run


def lightning(overrides: list[str]) -> Timer:
    def run(steps: int) -> float:
        parts = _prepared(overrides, steps).parts
        assert isinstance(parts, OwnModuleParts)
        with tempfile.TemporaryDirectory() as folder:
            trainer = pl.Trainer(
                accelerator="cpu", max_steps=steps, max_epochs=-1, default_root_dir=folder, limit_val_batches=0,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            started = time.process_time()
            trainer.fit(parts.module, datamodule=parts.data)
            return time.process_time() - started

    return run


def bare(overrides: list[str]) -> Timer:
    def run(steps: int) -> float:
        parts = _prepared(overrides, steps).parts
        loader = parts.data.train_dataloader()
        optimizer = torch.optim.Adam(parts.net.parameters(), lr=0.01)
        started = time.process_time()
        for x, y in islice(chain.from_iterable(repeat(loader)), steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(parts.net(x), y)
            loss.backward()
            optimizer.step()
        return time.process_time() - started

    return run


def _prepared(overrides: list[str], steps: int) -> Run:
    given = ["trainer=cpu", "trainer.threads=1", "budget.validations=1", f"budget.steps={steps}"]
    return prepare([*given, *overrides])


def compare(name: str, base: tuple[str, Timer], other: tuple[str, Timer], pairs: int) -> None:
    timers = dict((base, other))
    for timer in timers.values():
        timer(5)  # warm up
    costs: dict[str, list[float]] = {key: [] for key in timers}
    for pair in range(pairs):
        for key in list(timers) if pair % 2 else reversed(list(timers)):
            timer = timers[key]
            costs[key].append((timer(LONG) - timer(SHORT)) / (LONG - SHORT))
    print(f"\n{name}: {pairs} interleaved pairs, slope between {SHORT} and {LONG} steps")
    print(f"{'':28} {'CPU ms a step':>14}  {'ratio, mean and 95% interval':>30}")
    for key, values in costs.items():
        ratios = [value / of_base for value, of_base in zip(values, costs[base[0]], strict=True)]
        estimate = mean_interval(ratios)
        spread = "" if key == base[0] else f"{estimate.mean:.3f}  ({estimate.low:.3f} to {estimate.high:.3f})"
        print(f"{key:28} {median(values) * 1e3:14.2f}  {spread:>30}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    silence()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    register_with_hydra()
    torch.set_num_threads(1)
    print(hardware.describe())
    module = ["module._target_=own_module.LitNet", "data._target_=own_module.Vectors", "metric=val_acc"]
    module += ["metric_direction=max", "batch_size=128"]
    compare("A user's LightningModule", ("Trainer.fit", lightning(module)), ("a run of ours", ours(module)), pairs)
    dense = ["model._target_=own_module.Pixels", "data._target_=own_module.Images", "batch_size=64"]
    dense += ["optimizer=torch_adam", "optimizer.lr=0.01", "loss._target_=torch.nn.CrossEntropyLoss"]
    compare("Outputs (N, C, H, W)", ("bare loop", bare(dense)), ("a run of ours", ours(dense)), pairs)


if __name__ == "__main__":
    main()

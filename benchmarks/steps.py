"""The cost of a training step: a run of ours against a bare PyTorch loop, and against plain Lightning.

    python benchmarks/steps.py                                       # the demo's MLP on digits, one thread
    python benchmarks/steps.py --cnn --root /path/to/data            # Fashion-MNIST, 2c2d CNN, batch 128

A run of ours is everything that `bakeoff` does with a configuration: loss curve, validations, sampled gradient norms
and phase times, event files, outcome. The bare loop does forward, loss, backward and update over tensors sliced
beforehand, with torch's own optimizer and loss. Plain Lightning is `Trainer.fit` with a shuffling DataLoader and
`self.log`.

The cost of a step is the slope between a short and a long run, so that start-up does not count; the number of
validations is the same in both. Pairs are interleaved; the table gives medians over them, of times and of ratios.
"""

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import hardware
import hydra
import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.data import InMemoryDataModule
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.train import Run, RunSession, build_run, resolve_settings, silence, train_solo

Timer = Callable[[int], float]
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
}


def prepare(overrides: list[str]) -> Run:
    with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
        config = hydra.compose("bakeoff", overrides)
    return build_run(resolve_settings(config, overrides), overrides)


def ours(overrides: list[str]) -> Timer:
    def run(steps: int) -> float:
        prepared = prepare([*overrides, f"budget.steps={steps}"])
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            outcome = train_solo(RunSession(prepared, Path(folder)))
            elapsed = time.perf_counter() - started
        assert outcome.status == "completed", outcome.error
        return elapsed

    return run


def bare(overrides: list[str], optimizer_name: str) -> Timer:
    def run(steps: int) -> float:
        prepared = prepare([*overrides, "budget.steps=1"])
        net, loader = prepared.parts.net, prepared.parts.data.train_dataloader()
        optimizer = OPTIMIZERS[optimizer_name](net.parameters())
        batches = list(loader)
        started = time.perf_counter()
        for step in range(steps):
            x, y = batches[step % len(batches)]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - started

    return run


class Plain(pl.LightningModule):
    def __init__(self, net: torch.nn.Module, optimizer_name: str) -> None:
        super().__init__()
        self.net, self.optimizer_name = net, optimizer_name

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return OPTIMIZERS[self.optimizer_name](self.net.parameters())


def lightning(overrides: list[str], optimizer_name: str) -> Timer:
    def run(steps: int) -> float:
        prepared = prepare([*overrides, "budget.steps=1"])
        data = prepared.parts.data
        assert isinstance(data, InMemoryDataModule)  # the digits
        assert isinstance(data.batch_size, int)
        x, y = data.arrays.train
        loader = DataLoader(TensorDataset(x, y), batch_size=data.batch_size, shuffle=True)
        with tempfile.TemporaryDirectory() as folder:
            trainer = pl.Trainer(
                accelerator="cpu", max_steps=steps, max_epochs=-1, default_root_dir=folder,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            started = time.perf_counter()
            trainer.fit(Plain(prepared.parts.net, optimizer_name), loader)
            return time.perf_counter() - started

    return run


def slope(timer: Timer, short: int, long: int) -> float:
    """Seconds a step."""
    return (timer(long) - timer(short)) / (long - short)


def compare(name: str, timers: dict[str, Timer], *, short: int, long: int, pairs: int) -> None:
    costs: dict[str, list[float]] = {key: [] for key in timers}
    for timer in timers.values():
        timer(min(short, 5))  # warm up
    for _ in range(pairs):
        for key, timer in timers.items():
            costs[key].append(slope(timer, short, long))
    print(f"\n{name}: {pairs} interleaved pairs, slope between {short} and {long} steps")
    print(f"{'':28} {'us a step':>10}  {'times the bare loop':>20}")
    for key, values in costs.items():
        ratios = [value / base for value, base in zip(values, costs["bare loop"], strict=True)]
        spread = f"{median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{key:28} {median(values) * 1e6:10.0f}  {spread:>20}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cnn", action="store_true", help="Fashion-MNIST with the 2c2d CNN in place of digits and MLP")
    parser.add_argument("--root", default="data", help="the folder that holds FashionMNIST/raw")
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    silence()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    register_with_hydra()
    if arguments.cnn:
        print(hardware.describe())
        base = ["trainer=cpu", "data=fashion_mnist", f"data.root={arguments.root}", "model=cnn", "batch_size=128"]
        base += ["budget.validations=1"]  # as often as a budget of one epoch validates
        for optimizer, rate in (("sgd", 0.1), ("adam", 1e-3)):
            run = [*base, f"optimizer={optimizer}", f"optimizer.lr={rate}"]
            timers = {"bare loop": bare(run, optimizer), "a run of ours": ours(run)}
            compare(f"CNN 2c2d, {optimizer}, batch 128", timers, short=5, long=45, pairs=arguments.pairs)
        return
    torch.set_num_threads(1)
    print(hardware.describe())
    for optimizer, rate in (("sgd", 0.1), ("rmsprop", 1e-3), ("adam", 1e-3)):
        for batch_size in (16, 128):
            run = ["trainer=cpu", "trainer.threads=1", f"optimizer={optimizer}", f"batch_size={batch_size}"]
            run += [f"optimizer.lr={rate}"]
            timers = {"bare loop": bare(run, optimizer), "a run of ours": ours(run)}
            if batch_size == 16:
                timers["Lightning, DataLoader, log"] = lightning(run, optimizer)
            compare(
                f"MLP 64-64-32-10, {optimizer}, batch {batch_size}", timers, short=300, long=1500, pairs=arguments.pairs
            )


if __name__ == "__main__":
    main()

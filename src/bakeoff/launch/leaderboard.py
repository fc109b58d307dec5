"""Prints the leaderboard after every multirun, whichever launcher trained the runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from bakeoff.report.leaderboard import render
from bakeoff.report.records import Sweep, read_sweep
from bakeoff.runs import write_whole
from bakeoff.train.settings import DEFAULT_METRIC


class PrintLeaderboard(Callback):
    """A Hydra callback; the sweep's exit status is 1 if any of its runs failed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run: keeps the policy beside the runs, for later reports."""
        if config.policy:
            folder = Path(config.hydra.sweep.dir)
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "policy.txt", f"{config.policy}\n")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra when all runs have ended."""
        folder = Path(config.hydra.sweep.dir)
        sweep = read_sweep(folder)
        print("\n" + render(sweep.records, sweep.problems, metric=_metric(config, sweep), policy=sweep.policy))
        print(f"curves: tensorboard --logdir {folder}")
        if any(record.status == "failed" for record in sweep.records):
            sys.stdout.flush()
            raise SystemExit(1)  # not an Exception: Hydra would turn one into a warning


def _metric(config: DictConfig, sweep: Sweep) -> str:
    """The default metric stands for RMSE where the records are of regressions."""
    known = {name for record in sweep.records for name in record.metrics}
    is_default = config.metric == DEFAULT_METRIC and DEFAULT_METRIC not in known
    return "val/rmse" if is_default and "val/rmse" in known else str(config.metric)

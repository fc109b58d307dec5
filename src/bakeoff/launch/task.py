"""What Hydra calls for each run."""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bakeoff.errors import UserError
from bakeoff.launch.options import losses_for
from bakeoff.overview import Overview
from bakeoff.runs import Outcome, arm_of
from bakeoff.train import LossDoesNotFitError, Run, objective, settle

NOT_APPLICABLE = (
    ".*does not have many workers.*",  # resident batches need none
    ".*smaller than the logging interval.*",  # the module writes its curve itself, across epochs
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of torch
    ".*your dataloader is not resumable.*",  # our loop brings any loader to its position
    ".*The `srun` command is available.*",  # a run is one process
)


def prepare(config: DictConfig, overrides: Sequence[str]) -> Run:
    """Builds and checks a run, and trains nothing.

    Raises:
        UserError: it cannot be built.

    """
    quieten()
    settings = settle(config, overrides)
    try:
        return Run(settings, overrides, dict(HydraConfig.get().runtime.choices))
    except LossDoesNotFitError as error:
        raise LossDoesNotFitError(error.loss, error.fits, error.task, losses_for(error.task)) from error


def train(config: DictConfig) -> float | None:
    """Trains the run that `config` describes, in the folder that Hydra made; returns its objective.

    In a sweep every bad end is recorded and the sweep goes on. Alone, a run that is refused leaves nothing behind.

    Raises:
        UserError: a single run cannot be built.
        SystemExit: a single run failed.

    """
    hydra = HydraConfig.get()
    alone, folder = hydra.mode != RunMode.MULTIRUN, Path(hydra.runtime.output_dir)
    overrides = list(hydra.overrides.task)
    try:
        run = prepare(config, overrides)
    except UserError as error:
        if alone:
            _discard(folder)
            raise
        refused = {"type": "UserError", "message": str(error), "step": None, "traceback": None}
        Outcome(arm_of(overrides), config.seed, "", overrides, status="failed", error=refused).write(folder)
        return None
    try:
        outcome = run.train(folder, progress_bar=alone)
    except SystemExit:
        sys.stderr.write(f"\nbakeoff: stopped; recorded as interrupted in {_shown(folder)}\n")
        raise
    if alone:
        Overview(folder.parent.parent, run.metric).update()
        _tell(outcome, run.metric, folder)
    return objective(outcome, run.metric)


def quieten() -> None:
    """Silences Lightning's hints at every start, those of its warnings that cannot apply here, and Hydra's doubles."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # what it logs is raised as well
    for message in NOT_APPLICABLE:
        warnings.filterwarnings("ignore", message=message)


def _discard(folder: Path) -> None:
    """Removes what Hydra wrote for a run that never started, unless an earlier run lives there."""
    if not (folder / "outcome.json").exists():
        shutil.rmtree(folder / ".hydra", ignore_errors=True)
        for empty in (folder, folder.parent, folder.parent.parent):  # run, arm, sweep
            if any(empty.iterdir()):
                return
            empty.rmdir()


def _shown(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _tell(outcome: Outcome, metric: str, folder: Path) -> None:
    place = _shown(folder)
    spent = f"{outcome.steps} steps, {outcome.samples} samples, {outcome.seconds:.1f} s"
    print(f"{outcome.status}: {spent}")
    if outcome.error:
        print(outcome.error["traceback"] or outcome.error["message"], file=sys.stderr)
    for name in (metric, metric.replace("val/", "test/")):
        entry = outcome.metrics.get(name, {})
        if entry.get("final") is not None:
            best = f"  (best {entry['best']:.4f} at step {entry['best_step']})" if "best" in entry else ""
            print(f"{name} {entry['final']:.4f}{best}")
    print(f"written to {place}\ncurves: tensorboard --logdir {shlex.quote(str(place.parent.parent))}")
    if outcome.status == "failed":
        raise SystemExit(1)

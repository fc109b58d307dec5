"""What Hydra calls for each run, whichever launcher trains it."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bakeoff.errors import UserError
from bakeoff.launch.once import done, record_refusal, train_once
from bakeoff.launch.options import losses_for
from bakeoff.launch.request import configuration_hash
from bakeoff.launch.telling import tell, tell_elsewhere, tell_stopped, tell_what_would_be_done
from bakeoff.overview import Overview
from bakeoff.runs import Outcome, arm_of, claim, objective
from bakeoff.train import LossDoesNotFitError, Run, settle
from bakeoff.train.stopping import STOPPED_STATUS, Stopping

NOT_APPLICABLE = (
    ".*does not have many workers.*",  # resident batches need none
    ".*smaller than the logging interval.*",  # the module writes its curve itself, across epochs
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of torch
    ".*your dataloader is not resumable.*",  # our loop brings any loader to its position
    ".*The `srun` command is available.*",  # a run is one process
)
POLL = 0.5  # seconds between two looks at a run that another process trains


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

    A run that is done is not trained again, one that was interrupted goes on, and one that another process trains is
    waited for. In a sweep every bad end is recorded and the sweep goes on. Alone, a run that is refused leaves nothing
    behind.

    Raises:
        UserError: a single run cannot be built.
        SystemExit: a single run failed, or a run was stopped.

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
        record_refusal(folder, refusal(config.seed, overrides, str(error)))
        return None
    if run.settings["dry_run"]:  # under another launcher; else it has not come so far
        tell_what_would_be_done(run.identity, run.settings["retry"], folder)
        _discard(folder)
        return None
    outcome = done(folder, run.identity, run.settings["retry"])
    if outcome is not None and alone:
        tell(outcome, run.metric, folder, before=True)
    if outcome is None:
        outcome = _train_or_wait(run, folder, progress_bar=alone)
        if alone:
            Overview(folder.parent.parent, run.metric).update()
            tell(outcome, run.metric, folder)
    return objective(outcome, run.metric)


def refusal(seed: int, overrides: Sequence[str], message: str) -> Outcome:
    """The record of a run that could not be built: it is nothing in particular."""
    error = {"type": "UserError", "message": message, "step": None, "traceback": None}
    return Outcome(arm_of(overrides), seed, "", list(overrides), status="failed", error=error)


def _train_or_wait(run: Run, folder: Path, *, progress_bar: bool) -> Outcome:
    stopping, said = Stopping(), False
    search_path = GlobalHydra.instance().config_loader().get_search_path()
    configuration = configuration_hash(search_path, HydraConfig.get().searchpath)
    with stopping.by_signals():
        while True:
            try:
                outcome = train_once(run, folder, configuration, stopping, progress_bar=progress_bar)
            except SystemExit:
                tell_stopped(folder)
                raise
            if outcome is not None:
                return outcome
            if not said:
                tell_elsewhere(folder)
                said = True
            while claim.is_claimed(folder):
                time.sleep(POLL)
                if stopping.asked:
                    raise SystemExit(STOPPED_STATUS)


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

"""From a composed Hydra configuration to a built run, and to the folder in which it belongs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from bakeoff.errors import UserError
from bakeoff.runs import Outcome, arm_folder, arm_of, default_folder_name
from bakeoff.runs.modules import changed_modules
from bakeoff.train.options import losses_for
from bakeoff.train.parse_settings import resolve_settings
from bakeoff.train.run import Run, build_run
from bakeoff.train.task import LossDoesNotFitError

log = logging.getLogger(__name__)

_warned: set[str] = set()
NOT_APPLICABLE = (
    ".*does not have many workers.*",  # batches in memory need none
    ".*smaller than the logging interval.*",  # the module writes its curve itself, across epochs
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of torch
    ".*your dataloader is not resumable.*",  # our loop brings any loader to its position
    ".*is an instance of `nn.Module` and is already saved.*",  # a checkpoint holds the node that builds it again
    ".*The `srun` command is available.*",  # a run's processes are started by itself
    ".*recommended to use `self.log.*sync_dist=True.*",  # torchmetrics gathers what several processes measure
)


def prepare(config: DictConfig, overrides: Sequence[str], loader: ConfigLoader | None = None) -> Run:
    """Builds and checks a run, and trains nothing. Hydra's own configuration must be set.

    `loader` knows the options of the configuration groups, which a message then names.

    Raises:
        UserError: the run cannot be built.

    """
    silence()
    _warn_of_changed_modules()
    settings = resolve_settings(config, overrides)
    try:
        return build_run(settings, overrides, dict(HydraConfig.get().runtime.choices))
    except LossDoesNotFitError as error:
        others = losses_for(error.task, loader) if loader is not None else ()
        raise LossDoesNotFitError(error.loss, error.fits, error.task, others, error.remedy) from error


def _warn_of_changed_modules() -> None:
    """A process trains with what it has imported; said once of each file."""
    for file in changed_modules():
        if file not in _warned:
            _warned.add(file)
            log.warning("%s has changed since it was imported; this command trains what it imported", file)


def run_folder(run: Run, chosen: Path) -> Path:
    """The folder in which a run belongs: that of its arm, which may have a name already, or must not take another's.

    Args:
        run: the run.
        chosen: the folder that Hydra has chosen, by the overrides alone.

    Raises:
        UserError: `hydra.run.dir`, `hydra.sweep.dir` or `hydra.sweep.subdir` choose another place: no report would find
            the run there, and nothing would keep it from replacing another one.

    """
    settings, arm, hydra = run.settings, arm_of(run.overrides), HydraConfig.get()
    constant = list(hydra.job.config.override_dirname.exclude_keys)
    base, seed = Path(hydra.runtime.cwd), f"seed={settings.seed}"
    sweep = _normal(base / settings.root / str(settings.sweep))
    if _normal(base / chosen) != sweep / default_folder_name(arm, constant) / seed:
        where = f"{_relative(sweep, base)}/<arm>/{seed}"
        raise UserError(
            f"hydra.run.dir, hydra.sweep.dir and hydra.sweep.subdir cannot be chosen: a run is written to {where}, "
            "where reports find it; give root=... and sweep=..."
        )
    return sweep / arm_folder(sweep, arm, run.identity_with, constant) / seed


def _relative(path: Path, base: Path) -> Path:
    return path.relative_to(base) if path.is_relative_to(base) else path


def _normal(path: Path) -> Path:
    """Absolute, without `..`: as Hydra gives it."""
    return Path(os.path.abspath(path))


def build_failure(seed: int, overrides: Sequence[str], message: str) -> Outcome:
    """The record of a run that could not be built: it has no identity."""
    error = {"type": "UserError", "message": message, "step": None, "traceback": None}
    return Outcome(arm_of(overrides), seed, "", list(overrides), status="failed", error=error)


def save_configuration(folder: Path, config: DictConfig) -> None:
    """Writes `.hydra/` into a run's folder.

    Hydra itself would write it before it is known whether the run is finished, and which folder is its own.
    """
    hydra: Any = HydraConfig.instance().cfg
    output = folder / ".hydra"
    output.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, output / "config.yaml")
    OmegaConf.save(hydra, output / "hydra.yaml")
    OmegaConf.save(hydra.hydra.overrides.task, output / "overrides.yaml")


def silence() -> None:
    """Silences Lightning's hints at every start, those of its warnings that cannot apply here, and Hydra's doubles."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # what it logs is raised as well
    for message in NOT_APPLICABLE:
        warnings.filterwarnings("ignore", message=message)

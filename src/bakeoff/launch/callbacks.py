"""What is ours in the life of a Hydra application: Hydra calls these, whichever launcher trains the runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from bakeoff.errors import USAGE_STATUS, UserError
from bakeoff.launch.console import print_dry_run
from bakeoff.launch.result import SweepResult
from bakeoff.launch.summary import failed_folders, print_summary, record_contents
from bakeoff.report.records import read_sweep
from bakeoff.runs import ReuseRule, constant_keys


class OmitCommonOverrides(Callback):
    """Leaves what one command gives to all its runs out of their folders' names: what differs names them.

    It uses Hydra's own option for that, so every launcher, ours or another, composes the same names.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the sweeper composes the first job."""
        own = list(config.hydra.job.config.override_dirname.exclude_keys)
        keys = dict.fromkeys([*own, *constant_keys(config.hydra.overrides.task)])
        if keys:
            quoted = ",".join("'{}'".format(key.replace("'", "\\'")) for key in keys)
            with read_write(config):
                config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{quoted}]")


class DryRun(Callback):
    """With `dry_run=true` or `dry_run=memory` a single run ends before Hydra has made its folder."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the folder of a run."""
        if config.dry_run is not True and config.dry_run != "memory":
            return
        from bakeoff.train import describe_first_step, prepare, run_folder  # imports torch

        HydraConfig.instance().set_config(config)
        try:
            run = prepare(config, list(config.hydra.overrides.task), GlobalHydra.instance().config_loader())
            reuse_rule = ReuseRule(run.settings.retry, run.settings.reuse)
            print_dry_run(run.identity, reuse_rule, run_folder(run, Path(config.hydra.run.dir)))
            if config.dry_run == "memory":
                print(describe_first_step(run))
        except UserError as error:  # Hydra would make a warning of it
            sys.stderr.write(f"bakeoff: {error}\n")
            raise SystemExit(USAGE_STATUS) from error
        raise SystemExit(0)


class SweepSummary(Callback):
    """Prints the leaderboard after every multirun, and ends the process with the sweep's exit status."""

    sweep_result: SweepResult | None = None  # from our launcher; another's is known from the records alone

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run."""
        self._before = record_contents(Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra when all runs have ended."""
        if config.dry_run:  # under another launcher
            return
        sweep = read_sweep(Path(config.hydra.sweep.dir))
        result = self.sweep_result or SweepResult(failed_folders(sweep.records, self._before))
        try:
            print_summary(sweep, config)
            sys.stdout.flush()
        except BrokenPipeError:  # `bakeoff -m ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        finally:
            if result.exit_status:
                sys.stdout.flush()
                raise SystemExit(result.exit_status)  # not an Exception: Hydra would turn one into a warning

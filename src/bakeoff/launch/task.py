"""What Hydra calls for each run, whichever launcher trains it."""

from __future__ import annotations

import time
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bakeoff.errors import UserError
from bakeoff.launch.console import (
    print_assumed,
    print_dry_run,
    print_interrupted,
    print_not_kept,
    print_notes,
    print_outcome,
    print_waiting,
)
from bakeoff.launch.kept import not_kept
from bakeoff.overview import Overview
from bakeoff.runs import (
    INTERRUPTED_STATUS,
    Outcome,
    ReuseRule,
    StopRequest,
    finished_outcome,
    objective,
    resumable_outcome,
)
from bakeoff.runs.fingerprint import configuration_hash
from bakeoff.runs.lease import is_leased
from bakeoff.train import (
    Run,
    build_failure,
    describe_first_step,
    prepare,
    record_build_failure,
    run_folder,
    save_configuration,
    train_if_unclaimed,
)
from bakeoff.train.error import was_stopped
from bakeoff.train.recorded_metrics import check_recorded_metrics

WAIT_INTERVAL = 0.5  # seconds between two looks at the lease of a run that another process trains


def train(config: DictConfig) -> float | None:
    """Trains the run that `config` describes, in the folder in which it belongs; returns its objective.

    A run that is finished is not trained again, one that was interrupted is resumed, and one that another process
    trains is waited for. In a sweep every bad end is recorded and the sweep continues. Alone, a run that cannot be
    built leaves nothing behind.

    Raises:
        UserError: a single run cannot be built.
        SystemExit: a single run failed, or a run was stopped.

    """
    hydra = HydraConfig.get()
    alone, chosen = hydra.mode != RunMode.MULTIRUN, Path(hydra.runtime.output_dir)
    overrides = list(hydra.overrides.task)
    try:
        run = prepare(config, overrides, GlobalHydra.instance().config_loader())
        folder = run_folder(run, chosen)
    except UserError as error:
        _remove_empty(chosen)
        if alone:
            raise
        failure = build_failure(config.seed, overrides, str(error))
        record_build_failure(chosen, failure, lambda: save_configuration(chosen, config))
        return None
    reuse_rule = ReuseRule(run.settings.retry, run.settings.reuse)
    if folder != chosen.absolute():
        _remove_empty(chosen)
    if run.settings.dry_run:  # under another launcher; else it has not come so far
        print_dry_run(run.identity, reuse_rule, folder)
        if run.settings.dry_run == "memory":
            print(describe_first_step(run))
        _remove_empty(folder)
        return None
    finished = finished_outcome(folder, run.identity, reuse_rule)
    if finished or resumable_outcome(folder, run.identity, reuse_rule):
        check_recorded_metrics(folder, run.settings.metrics)
    if alone and finished is None:
        print_notes(run.notes)
    if run.assumed is not None and (finished or resumable_outcome(folder, run.identity, reuse_rule)):
        print_assumed([run.assumed])
    if finished is not None:
        print_not_kept(not_kept([(folder, overrides)]))
    outcome = finished or _train_or_wait(config, run, folder, reuse_rule, progress_bar=alone)
    if was_stopped(outcome):
        print_interrupted(folder)
        raise SystemExit(INTERRUPTED_STATUS)
    if alone:
        if finished is None:
            Overview(folder.parent.parent, run.metric).update()
        print_outcome(outcome, run.metric, folder, before=finished is not None)
        if outcome.status in ("failed", "interrupted"):
            raise SystemExit(1)
    return objective(outcome, run.metric, run.direction)


def _train_or_wait(config: DictConfig, run: Run, folder: Path, reuse_rule: ReuseRule, *, progress_bar: bool) -> Outcome:
    stop, is_announced, before = StopRequest(), False, Outcome.read(folder)
    search_path = GlobalHydra.instance().config_loader().get_search_path()
    configuration = configuration_hash(search_path, HydraConfig.get().searchpath)
    with stop.on_signals():
        while True:
            outcome = train_if_unclaimed(
                run,
                folder,
                configuration,
                stop,
                save_configuration=lambda: save_configuration(folder, config),
                reuse_rule=reuse_rule,
                before=before,
                progress_bar=progress_bar,
            )
            if outcome is not None:
                return outcome
            if not is_announced:
                print_waiting(folder)
                is_announced = True
            while True:  # once at least: by the clock of the file system its process may be alive, not by ours
                time.sleep(WAIT_INTERVAL)
                if stop.requested:
                    raise SystemExit(INTERRUPTED_STATUS)
                if not is_leased(folder):
                    break


def _remove_empty(folder: Path) -> None:
    """Removes what Hydra made for a run that is not trained there, unless something is in it."""
    for empty in (folder, folder.parent, folder.parent.parent):  # run, arm, sweep
        if not empty.is_dir() or any(empty.iterdir()):
            return
        empty.rmdir()

"""A run is trained once: not again when it is finished, not by two processes at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakeoff.errors import UserError
from bakeoff.runs import Outcome, ReuseRule, StopRequest, belongs_to_other_arm, finished_outcome_since
from bakeoff.runs.fingerprint import command_fingerprint, data_fingerprint, file_fingerprints
from bakeoff.runs.lease import acquire
from bakeoff.runs.outcome import FILE_NAME
from bakeoff.train.identity import own_names
from bakeoff.train.run import Run
from bakeoff.train.session import RunSession
from bakeoff.train.several import train

log = logging.getLogger(__name__)


def train_if_unclaimed(
    run: Run,
    folder: Path,
    configuration: str,
    stop: StopRequest,
    *,
    save_configuration: Callable[[], None],
    reuse_rule: ReuseRule,
    before: Outcome | None,
    threads: int | None = None,
    progress_bar: bool = False,
) -> Outcome | None:
    """Trains a run that is not finished, from its last checkpoint if it has one; None if a live process trains it.

    Args:
        run: the run.
        folder: where its records are, or will be.
        configuration: hash of the configuration files, by which the run is recognized when it is asked for again.
        stop: whether it is asked to stop.
        save_configuration: writes the composed configuration into the folder; called when the run is to be trained.
        reuse_rule: which records the command takes for the runs that it asks for.
        before: the record that was there when the run was asked for.
        threads: of torch, where the settings give none.
        progress_bar: whether to show one.

    Raises:
        UserError: the folder has become that of another run since it was chosen.
        OSError: the folder cannot be written.

    """
    lease = acquire(folder)
    if lease is None:
        return None
    with lease:
        finished = finished_outcome_since(folder, run.identity, reuse_rule, before)
        if finished is not None:  # by another process, while this one was on its way
            return finished
        if belongs_to_other_arm(folder, run.identity_with):
            raise UserError(f"{folder} was claimed by a different run; run the command again")
        _set_aside_if_damaged(folder)
        save_configuration()
        run.fingerprint, run.launch = _fingerprint(run, configuration), reuse_rule.launch
        found = Outcome.read(folder)
        may_resume = found is None or reuse_rule.may_resume_since(found, before)
        session = RunSession(run, folder, stop=stop, is_held=lease.is_held, threads=threads, may_resume=may_resume)
        lease.start_heartbeat(session.fraction_done)
        return train(session, progress_bar=progress_bar)


def record_build_failure(folder: Path, outcome: Outcome, save_configuration: Callable[[], None]) -> None:
    """Records a run that could not be built as failed, unless it has a record or a live process trains it.

    `save_configuration` writes the composed configuration into the folder.
    """
    lease = acquire(folder)
    if lease is not None:
        with lease:
            if Outcome.read(folder) is None:
                save_configuration()
                outcome.write(folder)


def _fingerprint(run: Run, configuration: str) -> dict[str, Any]:
    data, settings = run.parts.data_identity.files, run.settings
    named = {path: state for path, state in run.files.states.items() if state is not None}
    if len(named) < len(run.files.states):  # a change of one would not be seen: such a run is built to be recognized
        data = None
    files = file_fingerprints(own_names(settings), run.modules, {**(data or {}), **named})
    command = command_fingerprint(run.overrides, configuration)
    found: dict[str, Any] = {"command": command, "files": files, "metric": run.metric, "direction": run.direction}
    return found if data is not None else found | {"data": data_fingerprint(settings.data, settings.batch_size)}


def _set_aside_if_damaged(folder: Path) -> None:
    path = folder / FILE_NAME
    if path.exists() and Outcome.read(folder) is None:
        os.replace(path, folder / f"{FILE_NAME}.damaged")
        log.warning("%s is damaged: set aside; the run resumes from its last checkpoint, if it has one", path)

"""A run is trained once: not again when it is done, not by two processes at a time."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from bakeoff.errors import UserError
from bakeoff.launch.request import request_key, stamps
from bakeoff.runs import ENDED, Outcome, claim
from bakeoff.runs.folder import is_of_another
from bakeoff.runs.outcome import FILE_NAME
from bakeoff.train import Run
from bakeoff.train.identity import own_sources
from bakeoff.train.stopping import Stopping

log = logging.getLogger(__name__)


def done(folder: Path, identity: str, retry: str | None, launched: str | None = None) -> Outcome | None:
    """What stands in `folder`, if it is the run of this identity and is not to be trained again.

    With `retry=failed` a failed one is, unless it failed since the command was launched (ISO 8601).
    """
    found = Outcome.read(folder)
    if found is None or found.identity != identity:
        return None
    failed_now = launched is not None and (found.ended or "") >= launched
    kept = found.status in ENDED or (found.status == "failed" and (retry != "failed" or failed_now))
    return found if kept else None


def train_once(
    run: Run,
    folder: Path,
    configuration: str,
    stopping: Stopping,
    *,
    launched: str | None = None,
    threads: int | None = None,
    progress_bar: bool = False,
) -> Outcome | None:
    """Trains a run that is not done, from its last checkpoint if it has one; None if a live process is at it.

    Args:
        run: the prepared run.
        folder: where it is, or will be.
        configuration: hash of the configuration files, by which the run is known when it is asked for again.
        stopping: by whom it can be asked to stop.
        launched: when the command was, by which failures from before are known.
        threads: of torch, where the settings give none.
        progress_bar: whether to show one.

    Raises:
        UserError: the folder has become that of another run since it was chosen.
        OSError: the folder cannot be written.
        SystemExit: asked to stop.

    """
    mine = claim.take(folder)
    if mine is None:
        return None
    with mine:
        if (found := done(folder, run.identity, run.settings["retry"], launched)) is not None:
            # it ended while this process was on its way
            return found
        if is_of_another(folder, run.identity_with):
            raise UserError(f"{folder} has become another run's in the meantime; give the same command again")
        _set_aside_if_damaged(folder)
        files = stamps(run.settings["data"], own_sources(run.settings), run.parts.spec.digest is not None)
        if files is not None:
            key = request_key(run.overrides, configuration)
            run.request = {"key": key, "files": files, "metric": run.metric}
        mine.beat(run.share)
        return run.train(folder, progress_bar=progress_bar, stopping=stopping, is_mine=mine.is_mine, threads=threads)


def record_refusal(folder: Path, outcome: Outcome) -> None:
    """Records a run that could not be built as failed, unless it has a record or a live process is at it."""
    mine = claim.take(folder)
    if mine is not None:
        with mine:
            if Outcome.read(folder) is None:
                outcome.write(folder)


def _set_aside_if_damaged(folder: Path) -> None:
    path = folder / FILE_NAME
    if path.exists() and Outcome.read(folder) is None:
        os.replace(path, folder / f"{FILE_NAME}.damaged")
        log.warning("%s is damaged: set aside; the run goes on from its last checkpoint, if it has one", path)

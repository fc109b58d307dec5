"""When a run writes checkpoints, and which one it resumes from.

They are written at step boundaries, as often as costs little: every `every` seconds at most, and for at most a fiftieth
of the time. The best weights are kept in memory and written together with the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from bakeoff.runs import Direction, is_better
from bakeoff.train import checkpoint_files as files
from bakeoff.train.member import SessionMember, Validation
from bakeoff.train.run_state import SCHEMA, OldCheckpointError, RunState

log = logging.getLogger(__name__)

MAX_FRACTION = 0.02  # of the time is spent on checkpoints
KEPT = {"none": (), "last": (files.LAST,), "best": (files.BEST,), "all": (files.LAST, files.BEST)}


class Checkpoints(SessionMember):
    """Writes the checkpoints of a run into `folder`, and finds the one to resume from.

    Args:
        folder: the run's.
        mode: which are kept when the run has ended: `none`, `last`, `best` or `all`. Until then there is a last one, to
            resume from, in every mode but `none`.
        every: seconds between two of them, at least.
        identity: the run's; a checkpoint of another is not used.
        metric: by which weights are the best.
        direction: whether that is to be made small or large.
        description: what each file says of the net and the data (`bakeoff.train.net_description`).

    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: str,
        every: float,
        identity: str,
        metric: str,
        direction: Direction,
        description: Mapping[str, Any],
    ) -> None:
        self._folder, self._mode, self._every, self._identity = folder, mode, every, identity
        self._metric, self._direction, self._description = metric, direction, description
        self._best: dict[str, Any] | None = None  # not written yet
        self._best_value: float | None = None
        self._due = time.monotonic() + every
        self._is_checked = self._warned = False

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._due

    def latest(self) -> RunState | None:
        """The newest checkpoint of this very run that can be used. Others are set aside, with a warning."""
        for name in (files.LAST, files.PREVIOUS):
            path = self._path(name)
            content = files.read(path)
            if content is None:
                continue
            try:
                state = RunState.from_file(content)
            except OldCheckpointError as error:
                files.set_aside(path, "old", f"was written by another version of bakeoff ({error})")
                continue
            except (KeyError, TypeError) as error:
                files.set_aside(path, "damaged", f"is damaged ({type(error).__name__}: {error})")
                continue
            if state.identity == self._identity:
                return state
        return None

    def delete_all(self) -> None:
        """Removes what another run has left here: this one starts at its beginning."""
        files.remove(self._folder, files.LAST, files.PREVIOUS, files.BEST)

    def clean_up(self) -> None:
        """Called when the outcome is on the disk: removes what only a run that is resumed needs."""
        files.remove(self._folder, files.PREVIOUS, *({files.LAST, files.BEST} - set(KEPT[self._mode])))

    def validated(self, validation: Validation) -> None:
        """Keeps the weights if they are the best so far."""
        value = validation.metrics[self._metric]
        if files.BEST not in KEPT[self._mode] or not is_better(value, self._best_value, self._direction):
            return
        self._best_value = value
        weights: dict[str, Tensor] = {name: t.detach().cpu().clone() for name, t in validation.weights().items()}
        self._best = {
            "schema": SCHEMA,
            "step": validation.step,
            "identity": self._identity,
            "metric": self._metric,
            "value": value,
            "state_dict": weights,
            **self._description,
        }

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best_value": self._best_value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self._best_value = state["best_value"]

    def save(self, state: Callable[[], RunState], *, flush: Callable[[], None]) -> None:
        """Writes a checkpoint. One that cannot be written costs no run: the one before it is there, the next may be.

        Args:
            state: gives the state to write; not asked where none is written.
            flush: writes the curves up to here: after a kill nobody trains the steps before a checkpoint again.

        """
        if self._mode == "none":
            self._due = time.monotonic() + self._every
            return
        started = time.monotonic()
        try:
            content = {**replace(state(), identity=self._identity).to_file(), **self._description}
            flush()  # what was written up to here, and while the state was put together
            if self._best is not None:
                files.write(self._path(files.BEST), self._best)
                self._best = None
            files.write(self._path(files.LAST), content, check=not self._is_checked)
            self._is_checked = True
        except files.IncompleteStateError as error:
            if not self._warned:
                log.warning("%s; without it the run starts anew if it is interrupted", error)
            self._warned = True
        except files.UnsafeStateError as error:
            log.warning(
                "checkpointing disabled: the state of a part of this run cannot be loaded with weights_only=True: %s",
                error,
            )
            self._mode = "none"
        except OSError as error:
            log.warning("no checkpoint could be written in %s: %s", self._folder, error)
        now = time.monotonic()
        self._due = now + max(self._every, (now - started) / MAX_FRACTION)

    def _path(self, name: str) -> Path:
        return self._folder / files.FOLDER / name

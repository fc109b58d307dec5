"""When a run writes checkpoints, and what stands in them beside Lightning's own.

They are written when the loop is at rest, as often as costs little: every `every` seconds at the most, and for at most
a fiftieth of the time. The best weights are kept in memory and written together with the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as pl
from torch import Tensor

from bakeoff.train import checkpoint_files as files
from bakeoff.train.stopping import STOPPED_STATUS, Stopping

log = logging.getLogger(__name__)

OURS = "bakeoff"  # the key of what is ours in a checkpoint
SHARE = 0.02  # of the time, at most, is spent on checkpoints
KEPT = {"none": (), "last": (files.LAST,), "best": (files.BEST,), "all": (files.LAST, files.BEST)}


class Checkpoints(pl.Callback):
    """Writes the checkpoints of a run into `folder`, and finds the one to go on from.

    Args:
        folder: the run's.
        mode: which are kept when the run has ended: `none`, `last`, `best` or `all`. While it goes on there is a last
            one, to resume from, in every mode but `none`.
        every: seconds between two of them, at least.
        identity: the run's; a checkpoint of another is not used.
        metric: by which weights are the best, and whether low is better.
        state: what the run itself wants to find again: name -> plain values and tensors.
        flush: hands on the curves up to here: after a kill nobody trains the steps before a checkpoint again.
        stopping: whether the run is asked to stop.
        is_mine: whether this process is still the one to train it.

    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: str,
        every: float,
        identity: str,
        metric: tuple[str, bool],
        state: Callable[[], dict[str, Any]],
        flush: Callable[[], None],
        stopping: Stopping,
        is_mine: Callable[[], bool],
    ) -> None:
        self._folder, self._mode, self._every = folder, mode, every
        self._identity, self._state, self._stopping, self._is_mine = identity, state, stopping, is_mine
        self._flush = flush
        self.resumed_from: Path | None = None
        self._metric, self._low_is_better = metric
        self._best: dict[str, Any] | None = None  # not written yet
        self._best_value: float | None = None
        self._due = time.monotonic() + every
        self._checked = self._had_ended = False
        self._trainer: pl.Trainer | None = None

    def latest(self) -> dict[str, Any] | None:
        """The newest checkpoint of this very run that is whole. What is damaged is set aside, with a warning."""
        for name in (files.LAST, files.PREVIOUS):
            content = files.read(self._path(name))
            if content is not None and content.get(OURS, {}).get("identity") == self._identity:
                self.resumed_from = self._path(name)
                return content
        return None

    def forget(self) -> None:
        """Removes what another run has left here: this one begins at its beginning."""
        files.remove(self._folder, files.LAST, files.PREVIOUS, files.BEST)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Called by Lightning before `fit` and `test`."""
        self._trainer = trainer

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best_value": self._best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from it."""
        self._best_value = state_dict["best_value"]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Notes whether the training had ended by itself when the checkpoint was written."""
        self._had_ended = checkpoint.get(OURS, {}).get("ended", False)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Trains no further where training had ended, perhaps early: what is missing is the test."""
        trainer.should_stop = trainer.should_stop or self._had_ended

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the weights if they are the best so far."""
        value = trainer.callback_metrics.get(self._metric)
        if files.BEST in KEPT[self._mode] and value is not None and self._is_better(float(value)):
            self._best_value = float(value)
            weights: dict[str, Tensor] = {k: v.detach().cpu().clone() for k, v in pl_module.state_dict().items()}
            self._best = {
                "epoch": trainer.current_epoch,
                "global_step": trainer.global_step,
                "pytorch-lightning_version": lightning.__version__,
                "state_dict": weights,
                OURS: {"identity": self._identity, self._metric: self._best_value},
            }

    def at_rest(self) -> None:
        """Called when a batch, and the validation after it, are over: writes a checkpoint if it is time, or if asked.

        Raises:
            SystemExit: the run was asked to stop, and did; or another process trains it now.

        """
        asked = self._stopping.asked
        if not asked and time.monotonic() < self._due:
            return
        assert self._trainer is not None
        if self._trainer.should_stop or self._trainer.fit_loop.epoch_loop.global_step == self._trainer.max_steps:
            return  # it ends here by itself
        if not self._is_mine():
            raise SystemExit(STOPPED_STATUS)
        self._write_all(ended=False)
        if asked:
            raise SystemExit(STOPPED_STATUS)

    def trained(self) -> None:
        """Called when training has ended, before the test: writes the final weights."""
        self._write_all(ended=True)

    def ended(self) -> None:
        """Called when the outcome is on the disk: removes what only a run that goes on needs."""
        files.remove(self._folder, files.PREVIOUS, *({files.LAST, files.BEST} - set(KEPT[self._mode])))

    def _path(self, name: str) -> Path:
        return self._folder / files.FOLDER / name

    def _is_better(self, value: float) -> bool:
        if value != value:
            return False
        best = self._best_value
        return best is None or (value < best if self._low_is_better else value > best)

    def _write_all(self, *, ended: bool) -> None:
        """A checkpoint that cannot be written costs no run: the one before it stands, and the next may be."""
        if self._mode == "none":
            return
        started = time.monotonic()
        try:
            content = self._content(ended)
            self._flush()  # what was written up to here, and while it was put together
            if self._best is not None:
                files.write(self._path(files.BEST), self._best)
                self._best = None
            files.write(self._path(files.LAST), content, check=not self._checked)
            self._checked = True
        except files.UnsafeStateError as error:
            log.warning("no checkpoints: something in this run has a state that cannot be read safely: %s", error)
            self._mode = "none"
        except OSError as error:
            log.warning("no checkpoint could be written in %s: %s", self._folder, error)
        now = time.monotonic()
        self._due = now + max(self._every, (now - started) / SHARE)

    def _content(self, ended: bool) -> Mapping[str, Any]:
        assert self._trainer is not None
        content = self._trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        return {**content, OURS: {"identity": self._identity, "ended": ended, **self._state()}}

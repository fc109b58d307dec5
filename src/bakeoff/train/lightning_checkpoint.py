"""The one adapter between a `RunState` and the checkpoints of Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins import TorchCheckpointIO

from bakeoff.module.logged_values import steps_made
from bakeoff.train.run_state import RunState

IN_MEMORY = "bakeoff: in memory"  # in place of a path
LEAN_LOOP = "epoch_loop.state_dict"  # where `bakeoff.module.loop` keeps random states, in the state of the fit loop
NAMED = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "loops")
LEFT_OUT = (*NAMED, "hyper_parameters", "hparams_name", "hparams_type")  # a run is built from its configuration


class RunStateIO(TorchCheckpointIO):
    """Lets a `Trainer` save to and load from a `RunState` in memory; a user's own checkpoint files are written as ever.

    Lightning has no public way to be asked for a checkpoint but `save_checkpoint(path)`, and none to write it elsewhere
    but this plugin.
    """

    def __init__(self, resumed: RunState | None = None) -> None:
        super().__init__()
        self._state = resumed

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Called by `trainer.save_checkpoint`."""
        if path == IN_MEMORY:
            self._state = from_lightning(checkpoint)
        else:
            super().save_checkpoint(checkpoint, path, storage_options)

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Called by `trainer.fit(ckpt_path=...)`."""
        if path != IN_MEMORY:
            return super().load_checkpoint(path, *arguments, **options)
        assert self._state is not None
        return to_lightning(self._state)

    def capture(self, trainer: pl.Trainer) -> RunState:
        """The present state of a training."""
        self.keep(trainer)
        return self.pop_kept(trainer)

    def keep(self, trainer: pl.Trainer) -> None:
        """Keeps the present state, in the first of several processes; all have to call it."""
        trainer.save_checkpoint(IN_MEMORY, weights_only=False)

    def pop_kept(self, trainer: pl.Trainer) -> RunState:
        """What was kept, once."""
        state, self._state = self._state, None
        assert state is not None
        return replace(state, step=steps_made(trainer))


def from_lightning(checkpoint: Mapping[str, Any]) -> RunState:
    """What Lightning dumped, as a `RunState` without identity and session."""
    loops = dict(checkpoint["loops"])
    fit_loop = loops["fit_loop"] = dict(loops["fit_loop"])
    lean = fit_loop[LEAN_LOOP] = copy(fit_loop[LEAN_LOOP])
    return RunState(
        step=checkpoint["global_step"],  # see `capture` where a module makes its steps itself
        epoch=checkpoint["epoch"],
        batch=fit_loop["epoch_loop.batch_progress"]["current"]["completed"],
        weights=checkpoint["state_dict"],
        optimizers=checkpoint["optimizer_states"],
        schedules=checkpoint["lr_schedulers"],
        random=lean.pop("random_state", None),
        epoch_random=lean.pop("at_epoch_start", None),
        trainer={
            "loops": loops,
            **{key: value for key, value in checkpoint.items() if key not in LEFT_OUT},
        },
    )


def to_lightning(state: RunState) -> dict[str, Any]:
    """The checkpoint that Lightning would have dumped."""
    trainer = dict(state.trainer)
    loops = dict(trainer.pop("loops"))
    fit_loop = loops["fit_loop"] = dict(loops["fit_loop"])
    fit_loop[LEAN_LOOP] = {**fit_loop[LEAN_LOOP], "random_state": state.random, "at_epoch_start": state.epoch_random}
    return {
        **trainer,
        "loops": loops,
        "epoch": state.epoch,
        "global_step": state.step,
        "state_dict": state.weights,
        "optimizer_states": state.optimizers,
        "lr_schedulers": state.schedules,
    }

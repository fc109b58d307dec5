"""The state of a run that several processes train: that of the first, and what differs in the others.

Weights, optimizers and schedules are the same in all of them. Random numbers differ, and so do the losses that are not
checked for divergence yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl

from bakeoff.module import StopOnDivergence
from bakeoff.module.loop import LeanEpochLoop
from bakeoff.module.random_states import random_state
from bakeoff.train.lightning_checkpoint import RunStateIO
from bakeoff.train.place import Place
from bakeoff.train.run_state import RunState

OTHERS = "other processes"  # in `RunState.trainer`


def keep_shared(trainer: pl.Trainer, checkpoint_io: RunStateIO, place: Place) -> list[Mapping[str, Any]]:
    """Keeps the present state in the first process; all have to call it. Returns what differs in each of the others."""
    loop, callbacks = trainer.fit_loop.epoch_loop, trainer.callbacks  # type: ignore[attr-defined]
    assert isinstance(loop, LeanEpochLoop)
    guard = next(callback for callback in callbacks if isinstance(callback, StopOnDivergence))
    own: Mapping[str, Any] = {
        "random": random_state(),
        "epoch_random": loop.epoch_start_state,
        "guard": guard.state_dict(),
    }
    checkpoint_io.keep(trainer)
    return place.all_of(own)[1:]


def pop_shared(trainer: pl.Trainer, checkpoint_io: RunStateIO, others: list[Mapping[str, Any]]) -> RunState:
    """The state that was kept, with what `keep_shared` returned."""
    state = checkpoint_io.pop_kept(trainer)
    return replace(state, trainer={**state.trainer, OTHERS: others})


def state_in(rank: int, state: RunState) -> RunState:
    """The state to resume process `rank` from, 1 or more."""
    trainer = dict(state.trainer)
    own = trainer.pop(OTHERS)[rank - 1]
    key = StopOnDivergence().state_key
    trainer["callbacks"] = {**trainer["callbacks"], key: own["guard"]}
    return replace(state, trainer=trainer, random=own["random"], epoch_random=own["epoch_random"])

"""Callbacks of one's own: which are refused, since they would make a run's records untrue, and which can resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import callbacks
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.errors import UserError
from bakeoff.module.fallback import overrides
from bakeoff.train.checkpoint_files import IncompleteStateError
from bakeoff.train.instantiate import instantiate
from bakeoff.train.settings import Node

BATCH_SIZE = "give batch_size=... instead"
ACCUMULATE = "give trainer.accumulate_grad_batches=... instead"
LEARNING_RATE = "sweep over optimizer.lr=... instead"
AVERAGE = "use lightning.pytorch.callbacks.WeightAveraging or EMAWeightAveraging instead"

REFUSED: Mapping[type[pl.Callback], str] = {
    callbacks.GradientAccumulationScheduler: f"changes how many batches make a step behind the records; {ACCUMULATE}",
    callbacks.BatchSizeFinder: f"changes the batch size behind the run's records; {BATCH_SIZE}",
    callbacks.LearningRateFinder: f"changes the learning rate behind the run's records; {LEARNING_RATE}",
    callbacks.StochasticWeightAveraging: (
        "replaces the schedule, counts in max_epochs, which a budget does not set, and gives its average weights "
        f"after the last validation; {AVERAGE}"
    ),
    callbacks.ModelPruning: "keeps masks that no checkpoint holds, and its run could not resume; prune in the net",
}


def build_callbacks(nodes: Mapping[str, Node]) -> list[pl.Callback]:
    """The callbacks of a run, in their order.

    Raises:
        UserError: one cannot be built, is no callback, or is one with which the records would not be true.

    """
    return [_checked(name, instantiate(f"callbacks.{name}", node)) for name, node in nodes.items()]


def _checked(name: str, callback: Any) -> pl.Callback:
    kind = type(callback).__name__
    if not isinstance(callback, pl.Callback):
        raise UserError(f"callbacks.{name}: {kind} is not a lightning.pytorch.Callback; derive its class from that")
    for refused, reason in REFUSED.items():
        if isinstance(callback, refused):
            raise UserError(f"callbacks.{name}: {kind} {reason}")
    return callback


def check_resumable(callbacks: Iterable[pl.Callback]) -> None:
    """Checks that what the callbacks keep is in a checkpoint, as far as one can see: an average of weights, a metric.

    Raises:
        IncompleteStateError: one keeps tensors and saves no state.

    """
    for callback in callbacks:
        saves = any(overrides(callback, pl.Callback, name) for name in ("state_dict", "on_save_checkpoint"))
        if not saves and _keeps_tensors(list(vars(callback).values())):
            raise IncompleteStateError(
                f"callbacks: {type(callback).__name__} keeps tensors and has no state_dict; "
                "give it state_dict() and load_state_dict(), which may be empty"
            )


def _keeps_tensors(value: Any, depth: int = 3) -> bool:
    if isinstance(value, pl.LightningModule):  # that of the run
        return False
    if isinstance(value, Tensor | nn.Module | Optimizer):
        return True
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return depth > 0 and any(_keeps_tensors(one, depth - 1) for one in inside)

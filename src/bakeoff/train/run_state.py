"""Everything that a run needs to continue to the bit from a step boundary, whatever loop trains it.

Plain tensors and containers, so that a checkpoint is read with `weights_only=True`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

SCHEMA = 2  # 1 was Lightning's own form, with `bakeoff` as one more key


class OldCheckpointError(Exception):
    """A checkpoint of another schema: of an earlier version of bakeoff, or of a later one."""


@dataclass(frozen=True)
class RunState:
    """A run between two steps.

    Args:
        step: optimizer steps made.
        epoch: whole passes over the training data.
        batch: batches of the present epoch that were seen.
        weights: of the module, buffers included, name -> tensor.
        optimizers: the state dict of each optimizer.
        schedules: the state dict of each learning-rate scheduler.
        random: the states of Python's, NumPy's, torch's and CUDA's random numbers.
        epoch_random: the same at the beginning of the epoch, for a loader that cannot begin in the middle of one.
        trainer: what only the loop that trained the run needs: progress counters, states of its callbacks.
        identity: the run's.
        session: what the members of the run's session keep, by member (`bakeoff.train.session`).
        ended: the training had ended by itself: what is missing is the test.

    """

    step: int
    epoch: int
    batch: int
    weights: Mapping[str, Tensor]
    optimizers: list[Any]
    schedules: list[Any]
    random: Mapping[str, Any] | None
    epoch_random: Mapping[str, Any] | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""
    session: Mapping[str, Any] = field(default_factory=dict)
    ended: bool = False

    def to_file(self) -> dict[str, Any]:
        """The content of a checkpoint; the weights go by the name that torch's users know, `state_dict`."""
        content = dict(vars(self))
        return {"schema": SCHEMA, "state_dict": dict(content.pop("weights")), **content}

    @classmethod
    def from_file(cls, content: Mapping[str, Any]) -> RunState:
        """The state from the content of a checkpoint, which may say more than a run needs to continue.

        Raises:
            OldCheckpointError: it is of another schema.

        """
        if content.get("schema") != SCHEMA:
            raise OldCheckpointError(f"schema {content.get('schema', 1)}, not {SCHEMA}")
        names = {one.name for one in fields(cls)}
        values = {key: value for key, value in content.items() if key in names}
        return cls(weights=content["state_dict"], **values)

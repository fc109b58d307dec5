"""What a run's session is made of: members, each with one concern, told what happens to the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bakeoff.runs import Outcome


@dataclass(frozen=True)
class Validation:
    """A validation that has ended: its metrics, and functions that give tensors as they are at that step, by name.

    `weights` are what a checkpoint keeps of the module; `parameters` and `gradients` go by the net's own names.
    """

    step: int
    metrics: Mapping[str, float]
    weights: Callable[[], Mapping[str, Tensor]] = field(default=dict)
    parameters: Callable[[], Mapping[str, Tensor]] = field(default=dict)
    gradients: Callable[[], Mapping[str, Tensor]] = field(default=dict)


class SessionMember:
    """Overrides what it needs. A step is an optimizer step, counted from 1.

    `load_state_dict` is called before `start`, and only where a run is resumed.
    """

    def start(self, resumed_at: int | None) -> None:
        """The run starts, or resumes after the step `resumed_at`."""

    def training_started(self) -> None:
        """Everything is set up; the first batch comes next."""

    def stepped(self, step: int) -> None:
        """A step has been made."""

    def points(self, step: int, values: Mapping[str, float], split: str | None = None) -> None:
        """Curves have a point at `step`: tag -> value, measured on a split that their names do not say."""

    def validation_started(self, step: int) -> None:
        """A validation begins."""

    def validation_batch(self, batch: Any, output: Any) -> None:
        """One batch of the validation under way, and what the net made of it."""

    def validated(self, validation: Validation) -> None:
        """A validation has ended."""

    def close(self, outcome: Outcome) -> None:
        """The run has ended, or is interrupted."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, readable with `weights_only=True`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the state."""

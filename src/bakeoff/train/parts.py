"""What one run is made of, wired and checked against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn
from torchmetrics import Metric

from bakeoff.data import DatasetDataModule, DataSpec, InMemoryDataModule
from bakeoff.module.build_optimizer import OptimizerFactory
from bakeoff.module.param_groups import Rules
from bakeoff.module.task import Kind, Task
from bakeoff.runs import Direction
from bakeoff.train.data_source import DataIdentity
from bakeoff.train.scheduler import SchedulerFactory


@dataclass
class Parts:
    """The data, and what is trained on it.

    `net` is what is trained: a net, or a LightningModule of the user's own. `model` is the node that builds it again.
    `task` is one of `bakeoff.module.task.KINDS`, None where only such a module knows.
    """

    data: pl.LightningDataModule
    data_identity: DataIdentity
    spec: DataSpec
    net: nn.Module
    model: dict[str, Any]
    task: Kind | None
    n_out: int | None

    @property
    def trained(self) -> tuple[str, ...]:
        """The groups of settings that decide what is trained, beside the data."""
        return ("model", "loss", "optimizer", "schedule")

    @property
    def batches_are_ours(self) -> bool:
        """Whether we make the batches: a user's own data module makes them as it likes."""
        return isinstance(self.data, (InMemoryDataModule, DatasetDataModule))

    @property
    def drops_samples(self) -> bool:
        """Whether an epoch of ours leaves out the samples of an incomplete last batch."""
        return isinstance(self.data, (InMemoryDataModule, DatasetDataModule)) and self.data.n_dropped > 0

    @property
    def reads_in_workers(self) -> bool:
        """Whether processes read the samples, whose random numbers are then seeded sample by sample."""
        return isinstance(self.data, DatasetDataModule) and self.data.num_workers > 0


@dataclass
class SupervisedParts(Parts):
    """A net, a loss and an optimizer, for our module.

    `reads` says what a prediction is, `loss_takes_prediction` is that of `SupervisedModule`; `metrics` are the user's
    choice, beside ours. `option_schedules` are those of the optimizer's options beside `lr`, by name. `note` says the
    task in one line.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: OptimizerFactory
    param_groups: Rules
    schedule: Callable[[float], float] | SchedulerFactory | None
    option_schedules: Mapping[str, Callable[[float], float]]
    reads: Task
    loss_takes_prediction: bool
    metrics: Mapping[str, Metric]
    note: str


@dataclass
class OwnModuleParts(Parts):
    """A LightningModule of the user's own, `net`, which is trained as it is.

    `taken` are the parts that its constructor is given, `filled` the names of all arguments that are filled in.
    `logged` are the metrics that it logs on validation, with their direction where torchmetrics says one; None where
    that could not be tried.
    """

    taken: frozenset[str]
    filled: tuple[str, ...]
    logged: Mapping[str, Direction | None] | None

    @property
    def trained(self) -> tuple[str, ...]:
        """The module, and the parts that it takes."""
        return ("module", *sorted(self.taken))

    @property
    def module(self) -> pl.LightningModule:
        """The module itself."""
        assert isinstance(self.net, pl.LightningModule)
        return self.net

"""The settings of one run, typed. `bakeoff.train.resolve_settings` makes them from the composed configuration, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

UNITS = ("epochs", "steps", "samples", "seconds")
PARTS = ("data", "module", "model", "loss", "optimizer", "schedule")
FSDP = "fsdp"  # the strategy by which weights are shared out
OUR_MODULE = "bakeoff.module.SupervisedModule"

Node = Mapping[str, Any]  # a part: its `_target_` and the arguments of that


@dataclass(frozen=True)
class BudgetSettings:
    """What a run may spend, in one of four units, and how many validations it makes (None: the default)."""

    epochs: float | None
    steps: int | None
    samples: int | None
    seconds: float | None
    validations: int | None


@dataclass(frozen=True)
class ClipSettings:
    """Gradient clipping by norm or by value; None for none."""

    norm: float | None
    value: float | None


@dataclass(frozen=True)
class EarlyStoppingSettings:
    """How many validations without a better metric end a run (None: any number), and by how much it must be better."""

    patience: int | None
    min_delta: float


@dataclass(frozen=True)
class EmaSettings:
    """The decay of an exponential average of the weights, which is measured beside the last ones; None for none."""

    decay: float | None


@dataclass(frozen=True)
class TaskSettings:
    """What a prediction is, where it cannot be seen: `class_axis`, 1 or -1 (None: it can)."""

    class_axis: int | None


@dataclass(frozen=True)
class TrainerSettings:
    """Devices, precision, batches a step, and intervals of logging. `threads` None is torch's own choice."""

    accelerator: str
    devices: int
    strategy: str
    precision: Any
    compile: bool
    threads: int | None
    accumulate_grad_batches: int
    log_every_n_steps: int
    sample_every_n_steps: int


@dataclass(frozen=True)
class Settings:
    """Everything that one run is configured by. Parts and callbacks stay configuration: Hydra builds them."""

    data: Node
    module: Node
    model: Node
    loss: Node
    optimizer: Node
    param_groups: Mapping[str, Node]  # name -> rule and options; none for one group
    schedule: Node
    schedules: Mapping[str, Node | None]
    callbacks: Mapping[str, Node]
    metrics: Mapping[str, Node]
    task: TaskSettings
    batch_size: int | Literal["full"]
    seed: int
    init_seed: int | None
    data_seed: int | None
    metric: str
    metric_direction: str | None
    budget: BudgetSettings
    clip: ClipSettings
    early_stopping: EarlyStoppingSettings
    ema: EmaSettings
    trainer: TrainerSettings
    root: str
    sweep: str
    retry: str | None
    reuse: str
    dry_run: bool | Literal["memory"]
    checkpoints: str
    checkpoint_every: float
    log: str

    @property
    def has_own_module(self) -> bool:
        """Whether a LightningModule of the user's own is trained."""
        return self.module.get("_target_") != OUR_MODULE

    @property
    def scheduled_options(self) -> dict[str, Node]:
        """Option of the optimizer -> its schedule. One that is null, or has a null `_target_`, is left out."""
        return {
            option: node
            for option, node in self.schedules.items()
            if node is not None and not (isinstance(node, Mapping) and node.get("_target_") is None)
        }

    @property
    def global_batch_size(self) -> int | Literal["full"]:
        """Samples in a batch of all devices together, each of which takes `batch_size` of them."""
        return "full" if self.batch_size == "full" else self.batch_size * self.trainer.devices

    @property
    def seed_of_weights(self) -> int:
        """What the initial weights are drawn with."""
        return self.seed if self.init_seed is None else self.init_seed

    @property
    def seed_of_data(self) -> int:
        """What decides the order of the data, and what is drawn in training."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def samples_per_step(self) -> int | Literal["full"]:
        """How many samples give the gradient of an optimizer step, where no epoch ends within it."""
        size = self.global_batch_size
        return "full" if size == "full" else size * self.trainer.accumulate_grad_batches

    def part(self, name: str) -> Node:
        """The configuration of one of `PARTS`."""
        node: Node = getattr(self, name)
        return node

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, as in the configuration."""
        return asdict(self)

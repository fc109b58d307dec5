"""Where one process stands among those that train a run together, and what they agree on.

A run on several devices has a process for each, and this package starts them (`several.py`): Lightning's `ddp` would
run the whole command again, and its other ways need parts that can be pickled. Process 0 keeps the records of the run.
"""

from __future__ import annotations

from typing import Any, TypeVar

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from bakeoff.data import Share
from bakeoff.train.error import Error
from bakeoff.train.run_state import RunState

T = TypeVar("T")


class Place(LightningEnvironment):
    """One of `count` processes of a run, which meet at `port` of this machine, set before they talk to each other."""

    port: int

    def __init__(self, rank: int, count: int) -> None:
        super().__init__()
        self.rank, self.count = rank, count

    @property
    def creates_processes_externally(self) -> bool:
        """They are started by us."""
        return True

    @property
    def main_address(self) -> str:
        """The machine's own."""
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        """The one of the first process."""
        return self.port

    def local_rank(self) -> int:
        """The rank: all processes are on this machine."""
        return self.rank

    def node_rank(self) -> int:
        """There is one machine."""
        return 0

    @property
    def share(self) -> Share:
        """The part of each batch that is this process's."""
        return Share(self.rank, self.count)

    def seed(self, seed: int) -> int:
        """What training draws with: in each process another, so that dropout differs; in the first as ever."""
        return seed if self.rank == 0 else int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0])

    def wait_for_others(self, resumed: RunState | None) -> None:
        """To be called before processes talk to each other: those that are still starting would be missing.

        `resumed` is what the run is resumed from; the first process passes it on.
        """

    def cause(self, error: Error) -> Error:
        """The error of the process that failed first, where this one's only says that the other is gone."""
        return error

    def any(self, trainer: pl.Trainer, *flags: bool) -> list[bool]:
        """For each flag whether it is set in any of the processes."""
        found = torch.tensor([float(flag) for flag in flags], device=trainer.strategy.root_device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return [bool(one) for one in found.tolist()]

    def all_of(self, value: T) -> list[T]:
        """The values of all processes."""
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found

    def leave(self) -> None:
        """Ends the talk between the processes: what follows is this one's alone."""
        if dist.is_initialized():
            dist.destroy_process_group()

"""Our module with weights that are shared out among processes.

A class of its own, since Lightning asks for the hook and its callbacks that average weights warn of any module that has
it.
"""

from __future__ import annotations

from bakeoff.module.sharded import shard
from bakeoff.module.supervised import SupervisedModule


class ShardedModule(SupervisedModule):
    """A `SupervisedModule` for Lightning's `ModelParallelStrategy`."""

    def configure_model(self) -> None:
        """Shares out the weights."""
        if self.device_mesh is not None:
            shard(self.net, self.loss, self.device_mesh["data_parallel"])

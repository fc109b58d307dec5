"""Lightning's strategy for torch's FSDP, with checkpoints as those of a run in one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor
from torch.optim import Optimizer

from bakeoff.module.sharded import check_after_backward, check_before_backward, shared_out, shared_out_state, whole
from bakeoff.train.settings import FSDP, TrainerSettings


class FullyShardedStrategy(ModelParallelStrategy):
    """`ModelParallelStrategy`, whose module shares out its weights in `configure_model`, on `devices` devices.

    Lightning's own checkpoints of it name parameters where others number them, and are read when the optimizer is there
    already; these go the way of all others, as `RunState`.
    """

    restore_checkpoint_after_setup = Strategy.restore_checkpoint_after_setup
    lightning_restore_optimizer = Strategy.lightning_restore_optimizer
    save_checkpoint, load_checkpoint = Strategy.save_checkpoint, Strategy.load_checkpoint

    def __init__(self, devices: int) -> None:
        super().__init__(data_parallel_size=devices, tensor_parallel_size=1, save_distributed_checkpoint=False)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """All weights, in the first process."""
        weights: dict[str, Any] = whole(super(ModelParallelStrategy, self).lightning_module_state_dict())
        return weights

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Takes this process's part of the weights."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        weights = {name: shared_out(value, own.get(name)) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(weights, strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """All of the optimizer's state, in the first process."""
        state: dict[str, Any] = whole(super(ModelParallelStrategy, self).optimizer_state(optimizer))
        return state

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes this process's part of the state."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(shared_out_state(optimizer, state))

    def pre_backward(self, closure_loss: Tensor) -> None:
        """Looks at what the loss depends on."""
        assert self.lightning_module is not None
        check_before_backward(closure_loss, self.lightning_module)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Looks at the gradients."""
        assert self.lightning_module is not None
        check_after_backward(self.lightning_module)


def strategy_of(settings: TrainerSettings) -> str | Strategy:
    """What Lightning's `Trainer` is given."""
    return FullyShardedStrategy(settings.devices) if settings.strategy == FSDP else settings.strategy

"""Refuses what cannot be trained with `trainer.strategy=fsdp`, before anything is trained.

Beside what is known by name a step is tried: on copies, in this process alone, with weights that are shared out as in
training. What works with several processes alone is seen in the first step of the training.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from bakeoff.errors import UserError
from bakeoff.module import SupervisedModule, build_optimizer
from bakeoff.module.loss_parameters import copied
from bakeoff.module.optimizer_mode import OptimizerMode
from bakeoff.module.sharded import check_after_backward, check_before_backward, shard
from bakeoff.module.split import SplitOptimizer
from bakeoff.train.error import is_out_of_memory
from bakeoff.train.instantiate import one_line
from bakeoff.train.lightning_module import supervised_module
from bakeoff.train.parts import Parts, SupervisedParts
from bakeoff.train.settings import FSDP, Settings
from bakeoff.train.try_steps import EXAMPLES, example_batch


def check_fsdp(parts: Parts, settings: Settings) -> None:
    """Refuses parts whose weights cannot be shared out, where they are to be.

    Raises:
        UserError: names the part.

    """
    if settings.trainer.strategy != FSDP or not isinstance(parts, SupervisedParts):
        return
    reason = _misfit_by_name(parts) or _misfit_in_a_step(parts)
    if reason is not None:
        raise UserError(f"trainer.strategy={FSDP}: {reason}; give another trainer.strategy")


def _misfit_by_name(parts: SupervisedParts) -> str | None:
    optimizer = build_optimizer(parts.optimizer, parts.net, parts.loss, parts.param_groups)
    made = list(optimizer.optimizers.values()) if isinstance(optimizer, SplitOptimizer) else [optimizer]
    if any(isinstance(one, torch.optim.Muon) for one in made):
        return "Muon needs whole matrices"
    if isinstance(optimizer, SplitOptimizer):
        return "several optimizers as one are not supported with it"
    for name, module in parts.net.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None:
            return f"{type(module).__name__} {name} has max_norm, which changes weights that are not kept"
    return None


def _misfit_in_a_step(parts: SupervisedParts) -> str | None:
    reason = None
    silent = contextlib.redirect_stdout(io.StringIO())
    with isolate_rng(include_cuda=False), warnings.catch_warnings(), silent:
        warnings.simplefilter("ignore")
        for examples in (EXAMPLES, None):  # a loss may count on the number of a whole batch
            batch = example_batch("train", parts.data, examples)
            try:
                net, loss = copied((parts.net, parts.loss))
            except Exception:  # what a user's class holds may not be made to be copied
                return None
            module = supervised_module(parts, net, loss, {})
            with _this_process_alone() as mesh:
                reason = None if batch is None else _try_gradients(module, batch, mesh) or _try_update(module)
            if reason is None:
                break
    return reason


def _try_gradients(module: SupervisedModule, batch: Any, mesh: DeviceMesh) -> str | None:
    name = type(module.net).__name__
    try:
        shard(module.net, module.loss, mesh)
        module.train()
        with torch.enable_grad():
            loss = module.training_step(batch, 0)
            check_before_backward(loss, module)
            loss.backward()
        check_after_backward(module)
    except Exception as error:  # whatever torch raises on such weights
        return None if is_out_of_memory(error) else f"{name} cannot be trained with it ({one_line(error)})"
    return None


def _try_update(module: SupervisedModule) -> str | None:
    if any(p.requires_grad and p.grad is None for p in module.parameters()):  # it was out of memory
        return None
    name = "the optimizer"
    try:
        optimizer: Any = module.configure_optimizers()
        optimizer = optimizer["optimizer"] if isinstance(optimizer, dict) else optimizer
        name = type(optimizer).__name__
        OptimizerMode(optimizer).train()
        optimizer.step()
    except Exception as error:  # whatever an optimizer raises that does more than arithmetic on each number
        return f"{name} cannot update weights that are shared out ({one_line(error)})"
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, DTensor) and value.shape != parameter.shape:
                return f"{name} keeps {key} in another shape than that of its weight"
    return None


@contextlib.contextmanager
def _this_process_alone() -> Iterator[DeviceMesh]:
    """A group of processes that has no other."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        dist.destroy_process_group()

"""Weights that are shared out among processes, by torch's FSDP (`fully_shard`, also called FSDP2).

Each process keeps some rows of every weight, of its gradient and of the optimizer's state; these are DTensors. While a
net is called, forward or backward, its weights are whole. All of them are one unit: a net whose parts are called in no
fixed order needs no rule of its own, but a device must hold the whole net for that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


class ShardingError(Exception):
    """A step that would be wrong with weights that are shared out."""


def shard(net: nn.Module, loss: Any, mesh: DeviceMesh) -> None:
    """Shares out the weights of a net, and those of a loss, among the processes; once."""
    modules = [module for module in (net, loss) if isinstance(module, nn.Module)]
    if any(isinstance(parameter, DTensor) for module in modules for parameter in module.parameters()):
        return
    for module in modules:
        if any(
            p.requires_grad and not isinstance(p, DTensor) for p in module.parameters()
        ):  # a loss may have the net's
            # whole weights that are kept after a validation would hide what an optimizer's mode changes in them
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
        if any(True for _ in module.buffers()):
            module.register_forward_pre_hook(_share_buffers)


def _share_buffers(module: nn.Module, _: Any) -> None:
    """All have those of the first process, as with DDP."""
    for buffer in module.buffers():
        dist.broadcast(buffer, 0)


def local(tensor: Tensor) -> Tensor:
    """The part of this process; all of it where it is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def on_all(tensor: Tensor) -> Tensor:
    """All of it, in every process; all have to call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole(tree: Any) -> Any:
    """What was shared out is put together in the first process; elsewhere it is empty. All have to call it.

    `tree` is a tensor, or a state dict of tensors and other values.
    """
    if isinstance(tree, DTensor):
        all_of_it = tree.full_tensor()
        return all_of_it.cpu() if dist.get_rank() == 0 else all_of_it.new_empty(0)
    return {key: whole(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def shared_out(tensor: Tensor, like: Tensor | None) -> Tensor:
    """The part of this process, if `like` is shared out; each process is given all of it."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def shared_out_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The same for the state dict of an optimizer: what has the shape of its parameter is shared out like it."""
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    by_id = {i: parameters[n] for n, i in enumerate(i for group in state["param_groups"] for i in group["params"])}

    def part(value: Any, parameter: Tensor) -> Any:
        has_its_shape = isinstance(value, Tensor) and value.shape == parameter.shape
        return shared_out(value, parameter) if has_its_shape else value

    states = {
        i: {name: part(value, by_id[i]) for name, value in of_one.items()} for i, of_one in state["state"].items()
    }
    return {**state, "state": states}


def check_before_backward(loss: Tensor, module: nn.Module) -> None:
    """Refuses a step that does not use each weight that is trained: FSDP would mix the gradients of different weights.

    Raises:
        ShardingError: there are others, fewer or more.

    """
    used, trained = len(set(_leaves(loss))), sum(p.requires_grad for p in module.parameters())
    if used > trained:
        raise ShardingError("weights are used outside of the net, or not as attributes of their modules")
    if used != trained:
        raise ShardingError(
            f"a step must use each of the {trained} weights that are trained, this one uses {used}; "
            "ddp_find_unused_parameters_true allows it"
        )


def _leaves(loss: Tensor) -> Iterator[int]:
    """The ids of the parameters that the loss depends on."""
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter):
            yield id(variable)


def check_after_backward(module: nn.Module) -> None:
    """Refuses a step in which a weight has got no gradient: the net has used another tensor in its place.

    Raises:
        ShardingError: names it.

    """
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise ShardingError(f"{name} has got no gradient: it must be used as the attribute of its module")

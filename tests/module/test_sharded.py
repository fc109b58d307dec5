"""Weights that are shared out, here among one process alone; among two in `tests/train/test_fsdp.py`."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from bakeoff.module.sharded import check_after_backward, check_before_backward, shard, shared_out_state, whole


@pytest.fixture
def mesh():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def net_with_two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_weights_that_are_changed_after_a_validation_are_those_that_are_used(mesh):
    """As by an optimizer with `train()` and `eval()`."""
    net, x = net_with_two_layers(), torch.ones(1, 3)
    shard(net, None, mesh)
    held_by_an_optimizer = list(net.parameters())
    assert all(isinstance(parameter, DTensor) for parameter in held_by_an_optimizer)
    with torch.no_grad():
        net.eval()(x)
        for parameter in held_by_an_optimizer:
            parameter.zero_()
        assert not net.train()(x).any()


def test_weights_are_shared_out_once(mesh):
    net, loss = net_with_two_layers(), nn.CrossEntropyLoss(weight=torch.ones(2))
    net.register_buffer("mask", torch.ones(3))
    for _ in range(2):
        shard(net, loss, mesh)
    assert len([hook for hook in net._forward_pre_hooks.values() if hook.__module__ == "bakeoff.module.sharded"]) == 1


def test_the_state_of_an_optimizer_goes_to_the_weight_that_it_is_of(mesh):
    def step(net):
        groups: list[dict[str, Any]] = [
            {"params": list(net[2].parameters())},
            {"params": list(net[0].parameters()), "lr": 0.1},
        ]
        optimizer = torch.optim.Adam(groups)
        net(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        return optimizer

    plain, net = net_with_two_layers(), net_with_two_layers()
    shard(net, None, mesh)
    expected, optimizer = step(plain), step(net)
    state = whole(optimizer.state_dict())
    assert state["param_groups"] == expected.state_dict()["param_groups"]
    torch.testing.assert_close(state["state"], expected.state_dict()["state"])
    for of_one in state["state"].values():
        of_one["exp_avg"] += 1
    optimizer.load_state_dict(shared_out_state(optimizer, state))
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        average = optimizer.state[ours]["exp_avg"]
        assert average.placements == ours.placements
        torch.testing.assert_close(average.full_tensor(), expected.state[theirs]["exp_avg"] + 1)


def test_a_step_uses_each_weight_that_is_trained(mesh):
    net = net_with_two_layers()
    net[0].weight.requires_grad_(False)
    shard(net, None, mesh)
    loss = net(torch.ones(2, 3)).sum()
    check_before_backward(loss, net)
    loss.backward()
    check_after_backward(net)

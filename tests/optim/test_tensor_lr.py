"""A learning rate that is a tensor schedules like a number: a group has one of its own, into which schedulers write."""

import copy
import pickle

import pytest
import torch
from torch.nn import Parameter
from torch.optim import lr_scheduler

from bakeoff import optim

from .public import OPTIMIZERS

SCHEDULERS = {
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.5),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, [lambda t: 0.5**t, lambda t: 0.9**t]),
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def new_params():
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(3, generator=generator, dtype=torch.float64)) for _ in range(3)]


def train(optimizer, scheduler, steps=4):
    for t in range(steps):
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.cos(param.detach() + t)
        optimizer.step()
        scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))


def pair(name, params_of=lambda params: [{"params": params[:1]}, {"params": params[1:2]}]):
    """One with a tensor as learning rate, one with the number."""
    lrs = torch.tensor(0.1, dtype=torch.float64), 0.1
    return [getattr(optim, name)(params_of(new_params()), lr=lr) for lr in lrs]


def assert_same(optimizers):
    of_tensor, of_number = (
        [(float(group["lr"]), [p.detach() for p in group["params"]]) for group in o.param_groups] for o in optimizers
    )
    torch.testing.assert_close(of_tensor, of_number, rtol=1e-12, atol=1e-12)


@each_optimizer
@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_groups_that_were_given_one_tensor_follow_the_schedule_of_a_number(name, make):
    optimizers = pair(name)
    for optimizer in optimizers:
        train(optimizer, make(optimizer))
    assert_same(optimizers)


@each_optimizer
def test_what_multiplies_in_place_does_so_once_a_group(name):
    lr = torch.tensor(0.1)
    groups = [{"params": [param], "lr": lr} for param in new_params()]
    optimizer = getattr(optim, name)(groups)
    for group in optimizer.param_groups:
        group["lr"].mul_(0.5)
    assert [group["lr"].item() for group in optimizer.param_groups] == pytest.approx([0.05] * 3)
    assert optimizer.param_groups[0]["lr"] is lr  # a graph may have captured it


@each_optimizer
def test_a_group_that_is_added_later_begins_at_the_default(name):
    optimizers = pair(name)
    for optimizer in optimizers:
        train(optimizer, SCHEDULERS["ReduceLROnPlateau"](optimizer))
        optimizer.add_param_group({"params": new_params()[2:]})
        train(optimizer, SCHEDULERS["ReduceLROnPlateau"](optimizer))
    assert_same(optimizers)


def through_state_dict(optimizer, name):
    fresh = getattr(optim, name)([{"params": new_params()[:1]}, {"params": new_params()[1:2]}], lr=0.7)
    for new, old in zip(fresh.param_groups, optimizer.param_groups, strict=True):
        for param, value in zip(new["params"], old["params"], strict=True):
            param.data.copy_(value)
    fresh.load_state_dict(optimizer.state_dict())
    return fresh


COPIES = {
    "load_state_dict": through_state_dict,
    "deepcopy": lambda optimizer, name: copy.deepcopy(optimizer),
    "pickle": lambda optimizer, name: pickle.loads(pickle.dumps(optimizer)),
}


@each_optimizer
@pytest.mark.parametrize("copy_of", COPIES.values(), ids=COPIES)
def test_groups_stay_apart_in_a_copy(name, copy_of):
    optimizers = pair(name)
    for optimizer in optimizers:
        train(optimizer, SCHEDULERS["ReduceLROnPlateau"](optimizer))
    optimizers = [copy_of(optimizer, name) for optimizer in optimizers]
    for optimizer in optimizers:
        train(optimizer, SCHEDULERS["ReduceLROnPlateau"](optimizer))
    assert_same(optimizers)


@each_optimizer
def test_a_state_dict_of_torch_whose_groups_share_a_tensor_is_taken_apart(name):
    groups = [{"params": new_params()[:1]}, {"params": new_params()[1:2]}]
    theirs = getattr(torch.optim, name)(groups, lr=torch.tensor(0.1, dtype=torch.float64), foreach=False)
    ours, number = pair(name)
    ours.load_state_dict(theirs.state_dict())
    for optimizer in (ours, number):
        train(optimizer, SCHEDULERS["ReduceLROnPlateau"](optimizer))
    assert_same((ours, number))


def test_a_learning_rate_that_is_learned_itself_stays_one():
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    params = [param.clone() for param in new_params()]  # not leaves: the step is part of the graph
    optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:]}], lr=lr, differentiable=True)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    sum(param.sum() for param in params).backward()
    assert lr.grad.item() == -9  # of both groups

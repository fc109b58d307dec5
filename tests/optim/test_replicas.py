"""Replicas: K runs in stacked parameters, each as if it had an optimizer of its own."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import CosineAnnealingLR

from bakeoff import optim

from .public import OPTIMIZERS

K = 4
LR = [0.1, 0.01, 0.0, 0.3]
# the hyperparameters that may differ, and options that are shared
DIFFERING: dict[str, dict[str, Any]] = {
    "SGD": {"lr": LR, "momentum": [0.9, 0.0, 0.5, 0.9], "weight_decay": [0, 0.1, 0.01, 0]},
    "RMSprop": {
        "lr": LR,
        "alpha": [0.9, 0.99, 0.5, 0.8],
        "eps": [1e-8, 1e-3, 1e-8, 1e-2],
        "weight_decay": [0, 0.1, 0.01, 0],
        "momentum": [0.9, 0.0, 0.5, 0.0],
    },
    "Adam": {
        "lr": LR,
        "betas": [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99), (0.9, 0.5)],
        "eps": [1e-8, 1e-3, 1e-8, 1e-2],
        "weight_decay": [0, 0.1, 0.01, 0],
    },
}
DIFFERING["AdamW"] = DIFFERING["Adam"]
SHARED: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"dampening": 0.3}, {"maximize": True}],
    "RMSprop": [{}, {"centered": True, "eps": 1e-3}, {"maximize": True}],
    "Adam": [{}, {"amsgrad": True}, {"maximize": True}],
    "AdamW": [{}, {"amsgrad": True}],
}
each_optimizer = pytest.mark.parametrize("name", DIFFERING)
each_variant = pytest.mark.parametrize(
    ("name", "shared"), [(name, shared) for name, of_name in SHARED.items() for shared in of_name]
)
each_flag = pytest.mark.parametrize("flag", [{}, {"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
MOMENTUM = {"SGD": {"momentum": 0.9}}
SHAPES = [(64, 5), (7,), (), (33, 3)]  # of one replica's parameters


def differing(name, shared):
    return {key: values for key, values in DIFFERING[name].items() if key not in shared}


def stack(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(K, *shape, generator=generator).to(dtype)) for shape in SHAPES]


def gradients(t, dtype=torch.float32):
    generator = torch.Generator().manual_seed(100 + t)
    return [torch.randn(K, *shape, generator=generator).to(dtype) for shape in SHAPES]


def separate_optimizers(name, stacked, options, replicas, **flag):
    """K optimizers, each over copies of its slices."""
    slices = [[Parameter(param[k].detach().clone()) for param in stacked] for k in range(K)]
    return [
        getattr(optim, name)(slices[k], **options, **{key: values[k] for key, values in replicas.items()}, **flag)
        for k in range(K)
    ]


def train(stacked_optimizer, separate, steps, dtype=torch.float32, schedulers=()):
    for t in steps:
        for i, grad in enumerate(gradients(t, dtype)):
            stacked_optimizer.param_groups[0]["params"][i].grad = grad
            for k, optimizer in enumerate(separate):
                optimizer.param_groups[0]["params"][i].grad = grad[k].clone()
        for optimizer in (stacked_optimizer, *separate):
            optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def assert_same_bits(stacked_optimizer, separate):
    for i, param in enumerate(stacked_optimizer.param_groups[0]["params"]):
        for k, optimizer in enumerate(separate):
            own = optimizer.param_groups[0]["params"][i]
            assert torch.equal(param[k], own), (i, k, (param[k] - own).abs().max())


def test_every_public_optimizer_has_an_entry():
    assert set(DIFFERING) == set(SHARED) == set(OPTIMIZERS)


@each_variant
@each_flag
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_replica_is_bit_equal_to_a_separate_optimizer(name, shared, flag, dtype):
    replicas, params = differing(name, shared), stack(dtype)
    separate = separate_optimizers(name, params, shared, replicas, **flag)
    stacked_optimizer = getattr(optim, name)(params, **shared, replicas=replicas, **flag)
    train(stacked_optimizer, separate, range(6), dtype)
    assert_same_bits(stacked_optimizer, separate)


@each_optimizer
@pytest.mark.parametrize("size", [20_000, 70_000])
def test_a_large_stack_is_bit_equal_too(name, size):
    start, grad = torch.linspace(-1, 1, K * size).view(K, size), torch.linspace(1, -2, K * size).view(K, size)
    stacked, slices = Parameter(start.clone()), [Parameter(row.clone()) for row in start]
    optimizers = [getattr(optim, name)([stacked], replicas={"lr": LR})]
    optimizers += [getattr(optim, name)([own], lr=lr) for own, lr in zip(slices, LR, strict=True)]
    for t in range(3):
        stacked.grad = grad * (t + 1)
        for own, row in zip(slices, grad, strict=True):
            own.grad = row * (t + 1)
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(row, own) for row, own in zip(stacked, slices, strict=True))


@each_optimizer
def test_a_scheduler_drives_one_number_for_all(name):
    replicas, params = {"lr": LR}, stack(torch.float64)
    separate = separate_optimizers(name, params, {}, replicas)
    stacked_optimizer = getattr(optim, name)(params, replicas=replicas)
    schedulers = [CosineAnnealingLR(optimizer, T_max=6) for optimizer in (stacked_optimizer, *separate)]
    assert stacked_optimizer.param_groups[0]["lr"] == 1
    train(stacked_optimizer, separate, range(5), torch.float64, schedulers)
    assert 0 < stacked_optimizer.param_groups[0]["lr"] < 1
    for i, param in enumerate(stacked_optimizer.param_groups[0]["params"]):
        for k, optimizer in enumerate(separate):
            torch.testing.assert_close(param[k], optimizer.param_groups[0]["params"][i].data, rtol=1e-12, atol=1e-12)


@each_optimizer
@each_flag
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_value_in_one_replica_leaves_the_others_bit_equal(name, flag, bad):
    replicas = DIFFERING[name]
    clean, hit = (getattr(optim, name)(stack(), replicas=replicas, **flag) for _ in range(2))
    for t in range(4):
        for i, grad in enumerate(gradients(t)):
            clean.param_groups[0]["params"][i].grad = grad.clone()
            hit.param_groups[0]["params"][i].grad = grad
            if t == 1:
                grad[2] = bad
        clean.step()
        hit.step()
    for a, b in zip(clean.param_groups[0]["params"], hit.param_groups[0]["params"], strict=True):
        for k in (0, 1, 3):
            assert torch.equal(a[k], b[k])
        assert not b[2].isfinite().all() or LR[2] == 0


@each_optimizer
def test_replicas_are_saved_in_the_state_dict(name):
    replicas, params = DIFFERING[name], stack()
    saver = getattr(optim, name)(params, replicas=replicas)
    train(saver, [], range(3))
    loader = getattr(optim, name)([Parameter(param.detach().clone()) for param in params])
    loader.load_state_dict(copy.deepcopy(saver.state_dict()))
    for optimizer in (saver, loader):
        train(optimizer, [], range(3, 6))
    assert all(map(torch.equal, saver.param_groups[0]["params"], loader.param_groups[0]["params"]))


def test_groups_may_have_replicas_of_their_own():
    first, second = stack()[:2]
    groups: list[dict] = [{"params": [first], "replicas": {"lr": LR}}, {"params": [second]}]
    optimizer = optim.SGD(groups, lr=0.5)
    first.grad, second.grad = torch.ones_like(first), torch.ones_like(second)
    before = first.detach().clone(), second.detach().clone()
    optimizer.step()
    torch.testing.assert_close(before[0] - first, torch.tensor(LR)[:, None, None].expand_as(first))
    torch.testing.assert_close(before[1] - second, torch.full_like(second, 0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicas": {"nesterov": [True, False]}}, "replicas must give values of lr, momentum, weight_decay, got"),
        ({"replicas": {}}, "replicas must give values of lr, momentum, weight_decay, got"),
        ({"replicas": {"lr": [1, 2], "momentum": [0] * 4}}, "one value for each replica, got {'lr': 2, 'momentum': 4}"),
        ({"replicas": {"lr": [0.1, -1, 1, 1]}}, "Invalid learning rate: -1.0. .* (replica 1)"),
        ({"replicas": {"lr": [0.1, 0.2]}}, r"stacked \[2, ...\] for 2 replicas, got shape \(4, 64, 5\)"),
        ({"replicas": {"lr": LR}, "lr": 0.5}, "give lr or replicas={'lr': ...}, not both"),
    ],
)
def test_bad_replicas_are_refused_with_what_to_give(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(replica", r"\(replica").replace("1)", r"1\)")):
        optim.SGD(stack()[:1], **arguments)


@each_optimizer
def test_replicas_whose_axis_is_not_the_outermost_in_memory(name):
    generator = torch.Generator().manual_seed(0)
    start, grads = torch.randn(3, 5, generator=generator), torch.randn(4, 3, 5, generator=generator)
    inner, outer = Parameter(start.T.contiguous().T), Parameter(start.clone())
    pair = [
        getattr(optim, name)([p], **MOMENTUM.get(name, {}), replicas={"lr": [0.1, 0.01, 0.2]}) for p in (inner, outer)
    ]
    for grad in grads:
        inner.grad, outer.grad = grad.T.contiguous().T, grad.clone()
        for optimizer in pair:
            optimizer.step()
    torch.testing.assert_close(inner, outer)


STACKED = {"params": [Parameter(torch.zeros(2, 3))]}


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"params": [Parameter(torch.zeros(3, 3))]}, ValueError, r"must be stacked \[2, ...\]"),
        ({**STACKED, "replicas": None}, ValueError, "a group without replicas needs an lr of its own"),
        ({**STACKED, "lr": 0.5, "replicas": {"lr": [1, 2]}}, ValueError, "give lr or replicas={'lr': ...}, not both"),
        ({**STACKED, "replicas": {}}, ValueError, "replicas must give values of lr"),
        ({**STACKED, "replicas": {"lr": 0.1}}, ValueError, "replicas must give a list of values"),
        ([Parameter(torch.zeros(2))], TypeError, "param_group must be a dict"),
    ],
)
def test_a_bad_group_is_refused_and_not_added(group, error, message):
    optimizer = optim.SGD([Parameter(torch.zeros(2, 3))], replicas={"lr": [0.1, 0.2]})
    with pytest.raises(error, match=message):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


def test_replicas_that_do_not_fit_are_not_loaded():
    stacked_optimizer = optim.SGD([Parameter(torch.zeros(2, 3))], replicas={"lr": [0.1, 0.2]})
    alone = optim.SGD([Parameter(torch.zeros(3))])
    before = copy.deepcopy(alone.state_dict())
    with pytest.raises(ValueError, match=r"must be stacked \[2, ...\] for 2 replicas, got shape \(3,\)"):
        alone.load_state_dict(stacked_optimizer.state_dict())
    with pytest.raises(ValueError, match="the state dict is one without replicas"):
        stacked_optimizer.load_state_dict(before)
    assert alone.state_dict() == before


def test_numpy_values_become_plain_numbers(tmp_path):
    rates: dict = {"lr": np.logspace(-3, -1, 3)}
    optimizer = optim.SGD([Parameter(torch.zeros(3, 2))], replicas=rates)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert loaded["param_groups"][0]["replicas"]["lr"] == pytest.approx([0.001, 0.01, 0.1])

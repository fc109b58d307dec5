"""A new optimizer is its definition and nothing more: Lion in a few lines has every feature that ours have.

Chen et al. 2023, "Symbolic discovery of optimization algorithms", Algorithm 2.
"""

import copy
import io
import logging
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from bakeoff.optim import _verify
from bakeoff.optim._optimizer import UpdateOptimizer


class Lion(UpdateOptimizer):
    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1, replicas=None, **flags):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, **flags}, replicas)

    def _averages(self, group):
        return ("exp_avg",)

    def _update(self, param, grad, averages, group, step):
        (beta1, beta2), m = group["betas"], averages["exp_avg"]
        direction = (beta1 * m + (1 - beta1) * grad).sign() + group["weight_decay"] * param
        return param - group["lr"] * direction, {"exp_avg": beta2 * m + (1 - beta2) * grad}


class SignSGD(UpdateOptimizer):
    """Without state."""

    _counts_steps = False

    def __init__(self, params, lr=1e-2, **options):
        super().__init__(params, {"lr": lr}, **options)

    def _update(self, param, grad, averages, group, step):
        return param - group["lr"] * grad.sign(), {}


FLAGS = [{}, {"foreach": False}, {"foreach": True}, {"fused": True}, {"fused": False}]
SHAPES = [(5, 3), (17,), ()]
each_flag = pytest.mark.parametrize("flag", FLAGS, ids=str)


def params(*leading, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn((*leading, *shape), generator=generator, dtype=torch.float64) for shape in SHAPES]
    return [Parameter(tensor.to(dtype)) for tensor in made]


def set_gradients(made, t, dtype=torch.float64):
    generator = torch.Generator().manual_seed(100 + t)
    for param in made:
        param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(dtype)


def train(optimizer, steps, take_step=None):
    made = optimizer.param_groups[0]["params"]
    for t in steps:
        set_gradients(made, t, made[0].dtype)
        (take_step or optimizer.step)()
    return made


def by_hand(steps, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1):
    """Algorithm 2, in its own order."""
    thetas = [param.detach() for param in params()]
    momenta = [torch.zeros_like(theta) for theta in thetas]
    for t in steps:
        carriers = [Parameter(theta) for theta in thetas]
        set_gradients(carriers, t)
        for i, carrier in enumerate(carriers):
            c = torch.lerp(carrier.grad, momenta[i], betas[0])
            thetas[i] = thetas[i] - lr * (torch.sign(c) + weight_decay * thetas[i])
            momenta[i] = torch.lerp(carrier.grad, momenta[i], betas[1])
    return thetas


@each_flag
def test_steps_follow_the_paper(flag):
    torch.testing.assert_close([p.detach() for p in train(Lion(params(), **flag), range(10))], by_hand(range(10)))


@pytest.mark.parametrize("flag", ["foreach", "fused"])
def test_asking_for_an_implementation_that_it_lacks_warns_once(flag, monkeypatch, caplog):
    monkeypatch.setattr(_verify, "_warned", set())
    with caplog.at_level(logging.WARNING, logger="bakeoff.optim"):
        for _ in range(2):
            train(Lion(params(), **{flag: True}), range(2))
    [record] = caplog.records
    assert record.message == (
        f"{flag}=True: Lion has no {flag} implementation for torch.float64 on cpu; it uses the definition"
    )


def test_without_a_flag_it_does_not_warn(monkeypatch, caplog):
    monkeypatch.setattr(_verify, "_warned", set())
    train(Lion(params()), range(2))
    assert caplog.text == ""


def test_an_optimizer_without_state():
    [first, *_] = params()
    before, optimizer = first.detach().clone(), SignSGD([first], lr=0.5)
    first.grad = torch.full_like(first, -3.0)
    optimizer.step()
    assert torch.equal(first, before + 0.5)
    assert optimizer.state_dict()["state"] == {}


@each_flag
def test_a_state_dict_continues_a_training(flag):
    saver = Lion(params(), **flag)
    halfway = [param.detach().clone() for param in train(saver, range(5))]
    file = io.BytesIO()
    torch.save(saver.state_dict(), file)
    file.seek(0)
    loader = Lion(list(map(Parameter, halfway)))
    loader.load_state_dict(torch.load(file, weights_only=True))
    assert {state["step"].item() for state in loader.state.values()} == {5}
    torch.testing.assert_close([p.detach() for p in train(loader, range(5, 10))], by_hand(range(10)))


def test_an_older_state_dict_is_completed_with_the_classs_defaults():
    old = copy.deepcopy(Lion(params(), weight_decay=0.5).state_dict())
    for key in ("weight_decay", "foreach", "fused", "differentiable"):
        del old["param_groups"][0][key]
    optimizer = Lion(params(), weight_decay=0.5, foreach=False)
    optimizer.load_state_dict(old)
    group = optimizer.param_groups[0]
    assert [group[key] for key in ("weight_decay", "foreach", "fused", "differentiable")] == [0.1, None, None, False]


@pytest.mark.parametrize("flag", [{}, {"fused": True}], ids=str)
@pytest.mark.parametrize("overflow_at", [0, 2])
def test_a_grad_scaler_skips_the_step_that_overflows(flag, overflow_at):
    """With fused=True the scaler leaves unscaling, and the overflow flag, to the step."""
    made, scaler = params(dtype=torch.float32), torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = Lion(made, **flag)
    for t in range(4):
        set_gradients(made, t, torch.float32)
        grads = [param.grad for param in made]
        optimizer.zero_grad()
        loss = sum((param * grad).sum() for param, grad in zip(made, grads, strict=True))
        scaler.scale(loss * torch.inf if t == overflow_at else loss).backward()
        scaler.step(optimizer)
        scaler.update()
    expected = by_hand([t for t in range(4) if t != overflow_at])
    torch.testing.assert_close([p.detach().double() for p in made], expected, rtol=1e-5, atol=1e-5)
    assert {state["step"].item() for state in optimizer.state.values()} == {3}


@each_flag
def test_replicas_differ_in_every_number(flag):
    replicas: dict[str, list[Any]] = {
        "lr": [0.1, 0.01, 0.0],
        "betas": [(0.9, 0.99), (0.5, 0.9), (0.0, 0.5)],
        "weight_decay": [0, 0.1, 0.2],
    }
    stacked = params(3)
    slices = [[Parameter(param[k].detach().clone()) for param in stacked] for k in range(3)]
    optimizer = Lion(stacked, replicas=replicas, **flag)
    separate = [Lion(slices[k], **{key: v[k] for key, v in replicas.items()}, **flag) for k in range(3)]
    for t in range(5):
        set_gradients(stacked, t)
        for k, own in enumerate(separate):
            for param, stack in zip(own.param_groups[0]["params"], stacked, strict=True):
                param.grad = stack.grad[k].clone()
            own.step()
        optimizer.step()
    assert all(torch.equal(stack[k], own) for k in range(3) for stack, own in zip(stacked, slices[k], strict=True))


def test_what_is_no_number_may_not_differ_by_replica():
    with pytest.raises(ValueError, match="replicas must give values of lr, betas, weight_decay, got"):
        Lion(params(2), replicas={"foreach": [True, False]})


@each_flag
def test_it_compiles(flag):
    torch.compiler.reset()
    optimizer = Lion(params(), **flag)
    compiled = torch.compile(optimizer.step, backend="aot_eager")
    try:
        found = [param.detach() for param in train(optimizer, range(4), compiled)]
    finally:
        torch.compiler.reset()
    torch.testing.assert_close(found, by_hand(range(4)))


def test_bad_values_and_sparse_gradients_are_refused():
    with pytest.raises(ValueError, match="lr must be >= 0, got -1"):
        Lion(params(), lr=-1)
    embedding = torch.nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(RuntimeError, match=r"sparse gradients are not supported\. Make the layer with sparse=False"):
        Lion(embedding.parameters()).step()


def test_differentiable_steps_have_a_slope_in_the_gradient():
    [start, *_] = params()
    grad = torch.ones_like(start).requires_grad_()
    weight = start.detach().clone().requires_grad_()
    theta = weight.clone()
    theta.grad = grad
    Lion([theta], differentiable=True, lr=0.1, weight_decay=0.5).step()
    [slope] = torch.autograd.grad(theta.sum(), weight)
    torch.testing.assert_close(slope, torch.full_like(slope, 1 - 0.1 * 0.5))


def test_a_copy_is_independent():
    optimizer = Lion(params())
    train(optimizer, range(3))
    twin = copy.deepcopy(optimizer)
    before = [param.detach().clone() for param in optimizer.param_groups[0]["params"]]
    torch.testing.assert_close([p.detach() for p in train(twin, range(3, 6))], by_hand(range(6)))
    assert all(map(torch.equal, before, optimizer.param_groups[0]["params"]))

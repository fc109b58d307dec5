"""Adam and AdamW: the pure update against the classes, closed forms, what tells the two apart, the bounds."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from bakeoff.optim import Adam, AdamW
from bakeoff.optim.adam import adam_update


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("optimizer_class", [Adam, AdamW])
def test_class_follows_the_definition(optimizer_class, amsgrad, maximize):
    options = {"lr": 0.1, "betas": (0.8, 0.97), "eps": 1e-3, "weight_decay": 0.1, "maximize": maximize}
    grads = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta, zero = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    m, v, v_max = zero, zero, zero if amsgrad else None
    param = Parameter(theta.clone())
    optimizer = optimizer_class([param], amsgrad=amsgrad, **options)
    decoupled = optimizer_class is AdamW
    for t, grad in enumerate(grads, start=1):
        param.grad = grad.clone()
        optimizer.step()
        theta, m, v, v_max = adam_update(theta, grad, m, v, v_max, t=t, decoupled_weight_decay=decoupled, **options)
    torch.testing.assert_close(param.detach(), theta, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("decoupled", [False, True])
def test_update_does_not_change_its_arguments(decoupled):
    tensors = [torch.full((3,), value) for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    before = [tensor.clone() for tensor in tensors]
    options = {"weight_decay": 0.1, "decoupled_weight_decay": decoupled}
    adam_update(*tensors, t=1, lr=0.1, betas=(0.9, 0.999), eps=1e-8, **options)
    assert all(map(torch.equal, tensors, before))


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(
    grad=st.floats(-1e6, 1e6).filter(lambda g: abs(g) > 1e-6),
    beta1=st.floats(0, 0.99),
    beta2=st.floats(0, 0.9999),
    steps=st.integers(1, 10),
)
def test_a_constant_gradient_moves_by_lr_whatever_its_size(grad, beta1, beta2, steps):
    """Then m̂ = g and v̂ = g² exactly (Kingma & Ba 2015, section 3), so each step is -γ sign(g)."""
    param = Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Adam([param], lr=0.1, betas=(beta1, beta2), eps=0)
    for _ in range(steps):
        param.grad = torch.full_like(param, grad)
        optimizer.step()
    assert param.item() == pytest.approx(-0.1 * steps if grad > 0 else 0.1 * steps, rel=1e-9)


def test_adamw_decays_a_weight_without_gradient_and_adam_turns_decay_into_a_unit_step():
    moved = {}
    for optimizer_class in (Adam, AdamW):
        param = Parameter(torch.tensor([10.0], dtype=torch.float64))
        param.grad = torch.zeros_like(param)
        optimizer_class([param], lr=0.1, weight_decay=0.5).step()
        moved[optimizer_class] = param.item()
    assert moved == pytest.approx({Adam: 10 - 0.1, AdamW: 10 * (1 - 0.1 * 0.5)})


def test_decoupling_is_loaded_by_adam_and_kept_by_adamw():
    """As in torch: Adam follows the group's key; AdamW stays AdamW even after loading Adam's state."""
    decoupled = torch.optim.Adam([Parameter(torch.zeros(1))], decoupled_weight_decay=True)
    coupled = torch.optim.Adam([Parameter(torch.zeros(1))])
    adam, adamw = Adam([Parameter(torch.zeros(1))]), AdamW([Parameter(torch.zeros(1))])
    adam.load_state_dict(copy.deepcopy(decoupled.state_dict()))
    adamw.load_state_dict(copy.deepcopy(coupled.state_dict()))
    assert adam.param_groups[0]["decoupled_weight_decay"] is True
    assert adamw.param_groups[0]["decoupled_weight_decay"] is True


@pytest.mark.parametrize("optimizer_class", [Adam, AdamW])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": (1.0, 0.999)}, r"Invalid beta parameter at index 0: 1.0. betas\[0\] must be in \[0, 1\), got 1.0"),
        ({"betas": (0.9, float("nan"))}, r"index 1: nan. betas\[1\] must be in \[0, 1\), got nan"),
        ({"betas": [0.9]}, r"betas must be two values in \[0, 1\), got \(0.9,\)"),
        ({"eps": -1e-8}, "Invalid epsilon value: -1e-08. eps must be >= 0, got -1e-08"),
        ({"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
    ],
)
def test_errors_name_argument_bound_and_value(optimizer_class, options, message):
    with pytest.raises(ValueError, match=message):
        optimizer_class([Parameter(torch.zeros(1))], **options)

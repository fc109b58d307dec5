"""SGD: its pure update against the class, closed forms, its bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from bakeoff.optim import SGD
from bakeoff.optim.sgd import sgd_update


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "maximize": True},
    ],
    ids=["plain", "heavy ball", "nesterov"],
)
def test_class_follows_the_definition(options):
    grads = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta, b = torch.ones(4, dtype=torch.float64), None
    param = Parameter(theta.clone())
    optimizer = SGD([param], lr=0.1, **options)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        theta, b = sgd_update(theta, grad, b, lr=0.1, **options)
    torch.testing.assert_close(param.detach(), theta, rtol=1e-14, atol=1e-14)


def test_update_does_not_change_its_arguments():
    theta, grad, b = torch.ones(3), torch.full((3,), 2.0), torch.full((3,), 3.0)
    sgd_update(theta, grad, b, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
    assert (theta.tolist(), grad.tolist(), b.tolist()) == ([1] * 3, [2] * 3, [3] * 3)


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(lr=st.floats(0, 1), curvature=st.floats(0, 10), theta=st.floats(-10, 10), steps=st.integers(1, 20))
def test_on_a_parabola_each_step_shrinks_by_a_constant(lr, curvature, theta, steps):
    """f = curvature θ² / 2, so θ_t = (1 - lr curvature)^t θ_0."""
    param = Parameter(torch.tensor(theta, dtype=torch.float64))
    optimizer = SGD([param], lr=lr)
    for _ in range(steps):
        param.grad = curvature * param.detach()
        optimizer.step()
    assert math.isclose(param.item(), (1 - lr * curvature) ** steps * theta, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": -0.1}, "momentum must be >= 0, got -0.1"),
        ({"dampening": float("nan")}, "dampening must be >= 0, got nan"),
        ({"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
        (
            {"nesterov": True},
            "nesterov requires momentum > 0 and dampening = 0, got momentum = 0 and dampening = 0",
        ),
        (
            {"nesterov": True, "momentum": 0.9, "dampening": 0.5},
            "got momentum = 0.9 and dampening = 0.5: change them",
        ),
    ],
)
def test_errors_name_argument_bound_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        SGD([Parameter(torch.zeros(1))], **options)

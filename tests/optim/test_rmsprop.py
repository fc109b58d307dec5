"""RMSprop: its pure update against the class, closed forms, its bounds."""

import pytest
import torch
from torch.nn import Parameter

from bakeoff.optim import RMSprop
from bakeoff.optim.rmsprop import rmsprop_update


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_class_follows_the_definition(momentum, centered, maximize):
    options = {
        "lr": 0.1,
        "alpha": 0.9,
        "eps": 1e-3,
        "weight_decay": 0.1,
        "momentum": momentum,
        "maximize": maximize,
    }
    grads = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta, zero = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    v, m, b = zero, zero if centered else None, zero if momentum else None
    param = Parameter(theta.clone())
    optimizer = RMSprop([param], centered=centered, **options)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        theta, v, m, b = rmsprop_update(theta, grad, v, m, b, **options)
    torch.testing.assert_close(param.detach(), theta, rtol=1e-14, atol=1e-14)


def test_update_does_not_change_its_arguments():
    tensors = [torch.full((3,), value) for value in (1.0, 2.0, 3.0, 0.5, 5.0)]
    before = [tensor.clone() for tensor in tensors]
    rmsprop_update(*tensors, lr=0.1, alpha=0.9, eps=1e-8, weight_decay=0.1, momentum=0.9)
    assert all(map(torch.equal, tensors, before))


def test_first_step_has_one_length_for_every_gradient():
    """v_1 = (1 - α) g², so without ε the step is γ / √(1 - α), whatever the gradient's size."""
    param = Parameter(torch.zeros(3, dtype=torch.float64))
    param.grad = torch.tensor([1e-6, -1.0, 1e6], dtype=torch.float64)
    RMSprop([param], lr=0.1, alpha=0.99, eps=0).step()
    torch.testing.assert_close(param.detach(), torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.0}, r"alpha must be in \[0, 1\), got 1.0"),
        ({"alpha": float("nan")}, r"alpha must be in \[0, 1\), got nan"),
        ({"eps": -1}, "eps must be >= 0, got -1"),
        ({"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
        ({"momentum": -0.9}, "momentum must be >= 0, got -0.9"),
    ],
)
def test_errors_name_argument_bound_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        RMSprop([Parameter(torch.zeros(1))], **options)

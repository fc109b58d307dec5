"""RMSprop: its pure update against the class, closed forms, its bounds."""

from typing import Any

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


FLAGS = {"default": {}, "for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flags", [*FLAGS.values(), {"replicas": {"lr": [1e-3, 1e-3]}}], ids=[*FLAGS, "replicas"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_centered_stays_finite_under_a_constant_gradient(dtype, flags, device):
    """v - m² then falls to 0, and below it by rounding, whose root is NaN in torch."""
    gradient = (torch.rand(2, 500, generator=torch.Generator().manual_seed(0)) + 1).to(device, dtype)
    param = Parameter(torch.zeros_like(gradient))
    options: dict[str, Any] = dict(flags) if "replicas" in flags else {"lr": 1e-3, **flags}
    optimizer = RMSprop([param], alpha=0.9, centered=True, **options)
    for _ in range(400):
        param.grad = gradient.clone()
        optimizer.step()
    assert torch.isfinite(param).all()
    variance = optimizer.state[param]["square_avg"].double() - optimizer.state[param]["grad_avg"].double() ** 2
    assert dtype == torch.bfloat16 or (variance < 0).any()  # else this shows nothing


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_variance_below_zero_is_zero_in_every_implementation(dtype, flags, momentum, device):
    n = 37  # whole vectors, and a remainder
    param = Parameter(torch.ones(n, dtype=dtype, device=device))
    optimizer = RMSprop([param], lr=0.5, alpha=0.5, eps=4.0, centered=True, momentum=momentum, **flags)
    param.grad = torch.full_like(param, 1.0)
    optimizer.step()
    state = optimizer.state[param]
    state["square_avg"].fill_(0.5), state["grad_avg"].fill_(1.0)  # v = 0.75, m = 1: v - m² = -0.25
    if momentum:
        state["momentum_buffer"].fill_(0.5)
    with torch.no_grad():
        param.fill_(1.0)
    param.grad = torch.full_like(param, 1.0)
    optimizer.step()
    step = momentum * 0.5 + 1 / (0 + 4.0)
    assert torch.equal(param.detach(), torch.full_like(param, 1 - 0.5 * step))


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_a_variance_that_is_nan_stays_so(flags):
    """What has diverged must not look like a number."""
    param = Parameter(torch.ones(5))
    optimizer = RMSprop([param], lr=0.1, centered=True, **flags)
    param.grad = torch.tensor([1.0, torch.nan, 1.0, torch.inf, 1.0])
    optimizer.step()
    assert param.isnan().tolist() == [False, True, False, True, False]

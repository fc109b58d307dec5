"""float16 and bfloat16 over the whole range of gradients, against the papers in float64 NumPy.

Updates compute in single precision or better, and round when they store. So the oracle rounds what is stored, and
nothing else: the square of 256 is too large for float16, the default eps of 1e-8 too small.
"""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim as ours

from .public import OPTIMIZERS
from .test_where_torch_is_wrong import ORACLES

GRADIENTS = [0.0, 1e-7, 1e-4, 0.5, -3.0, 255.0, 256.0, -1000.0, 8000.0, 60000.0]
WEIGHTS = [0.0, 1.0, -200.0]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.5, "dampening": 0.5}, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.5, "centered": True}, {"weight_decay": 0.1, "maximize": True}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}, {"maximize": True}],
    "AdamW": [{}, {"amsgrad": True}],
}
GIVEN: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3},
    "RMSprop": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-8},
    "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
}
FLAGS = {"default": {}, "for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def test_every_public_optimizer_has_options():
    assert set(OPTIONS) == set(GIVEN) == set(OPTIMIZERS)


def stored(values, dtype):
    return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(dtype).double().numpy()


def replay(name, theta, grad, steps, dtype, options):
    state = {}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(steps):
            theta = stored(ORACLES[name](theta, grad, state, **GIVEN[name], **options), dtype)
            state = {key: value if key == "t" else stored(value, dtype) for key, value in state.items()}
    return theta


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id="-".join([n, *o])) for n, of_name in OPTIONS.items() for o in of_name],
)
def test_gradients_of_every_size(name, options, dtype, flags, device):
    weights, gradients = np.array(list(itertools.product(WEIGHTS, GRADIENTS))).T
    grad = torch.tensor(gradients).to(dtype)
    param = Parameter(torch.tensor(weights).to(device, dtype))
    optimizer = getattr(ours, name)([param], **GIVEN[name], **options, **flags)
    for _ in range(5):
        param.grad = grad.clone().to(device)
        optimizer.step()
    expected = replay(name, stored(weights, dtype), grad.double().numpy(), 5, dtype, options)
    tolerance = 4 * torch.finfo(dtype).eps  # an ulp a step, and of what is stored of the averages
    np.testing.assert_allclose(param.detach().double().cpu(), expected, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_a_mean_square_too_large_to_store_stops_the_weight_and_makes_no_nan(name, flags, dtype):
    """It is infinity from then on, and what is divided by its root is 0."""
    gradient = {torch.float16: 6e4, torch.bfloat16: 1e38, torch.float32: 1e38}[dtype]
    param = Parameter(torch.ones(3, dtype=dtype))
    optimizer = getattr(ours, name)([param], **GIVEN[name], **flags)
    for _ in range(4):
        param.grad = torch.full((3,), gradient, dtype=dtype)
        optimizer.step()
    assert torch.isfinite(param).all()


@pytest.mark.parametrize("replicas", [None, {"lr": [1e-3, 1e-2]}], ids=["ordinary", "replicas"])
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", GIVEN)
def test_many_tensors_and_large_ones_in_blocks(name, flags, replicas):
    """Lists are worked through in blocks: what was computed of each is stored where it belongs."""
    options = {**GIVEN[name], "replicas": replicas} if replicas else GIVEN[name]
    options = {key: value for key, value in options.items() if not (replicas and key == "lr")}
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(2, n, generator=generator).half() for n in (1, 7, 2**17 + 5, 3)]
    pair = [[Parameter(start.clone()) for start in starts] for _ in range(2)]
    optimizers = [getattr(ours, name)(pair[0], **options, **flags)]
    optimizers.append(getattr(ours, name)(pair[1], **options, foreach=False))
    for _ in range(3):
        grads = [300 * torch.randn(start.shape, generator=generator).half() for start in starts]
        for params, optimizer in zip(pair, optimizers, strict=True):
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad.clone()
            optimizer.step()
    torch.testing.assert_close(*pair, rtol=4e-3, atol=4e-3)

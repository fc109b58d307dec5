"""Inputs on which torch's own fused and default steps go wrong or give up: ours against the papers, in float64 NumPy.

Memory laid out otherwise than the parameter's, an overflow at the first step, gradients that come late, the ends of
vectors, values that are not finite. What torch does there is not asserted.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim as ours

from .public import OPTIMIZERS


def sgd(theta, g, s, *, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    """Sutskever et al. 2013, equations (1)-(4); the first gradient is not dampened."""
    g = (-g if maximize else g) + weight_decay * theta
    s["b"] = momentum * s["b"] + (1 - dampening) * g if "b" in s else g
    direction = g + momentum * s["b"] if nesterov else s["b"] if momentum else g
    return theta - lr * direction


def rmsprop(theta, g, s, *, lr, alpha=0.9, eps=1e-3, weight_decay=0.0, momentum=0.0, centered=False, maximize=False):
    """Hinton 2012, lecture 6e; Graves 2013, equations (38)-(41); a variance is never below 0."""
    g = (-g if maximize else g) + weight_decay * theta
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    s["m"] = alpha * s.get("m", 0) + (1 - alpha) * g
    s["b"] = momentum * s.get("b", 0) + g / (np.sqrt(np.maximum(s["v"] - centered * s["m"] ** 2, 0)) + eps)
    return theta - lr * s["b"]


def adam(
    theta, g, s, *, lr, betas=(0.8, 0.97), eps=1e-3, weight_decay=0.0, amsgrad=False, maximize=False, decoupled=False
):
    """Kingma & Ba 2015, Algorithm 1; Reddi et al. 2018, Algorithm 2; Loshchilov & Hutter 2019, Algorithm 2."""
    g = (-g if maximize else g) + (0 if decoupled else weight_decay) * theta
    s["t"] = s.get("t", 0) + 1
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    s["w"] = np.maximum(s.get("w", 0), s["v"]) if amsgrad else s["v"]
    root = np.sqrt(s["w"] / (1 - betas[1] ** s["t"])) + eps
    step = s["m"] / (1 - betas[0] ** s["t"]) / root
    return theta - lr * (step + (weight_decay if decoupled else 0) * theta)


def adamw(theta, g, s, *, weight_decay=0.01, **options):
    return adam(theta, g, s, weight_decay=weight_decay, decoupled=True, **options)


ORACLES: dict[str, Callable[..., Any]] = {"SGD": sgd, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw}
GIVEN: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1},
    "RMSprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-3},
    "Adam": {"lr": 0.1, "betas": (0.8, 0.97), "eps": 1e-3},
    "AdamW": {"lr": 0.1, "betas": (0.8, 0.97), "eps": 1e-3},
}
VARIANTS = {
    "SGD": [
        {},
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "maximize": True},
    ],
    "RMSprop": [{}, {"momentum": 0.8, "centered": True, "weight_decay": 0.1}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}],
    "AdamW": [{}, {"amsgrad": True, "weight_decay": 0.1}],
}
FLAGS = {"default": {}, "fused": {"fused": True}, "foreach": {"foreach": True}}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCES: dict[torch.dtype, Any] = {
    torch.float64: {"rtol": 1e-11, "atol": 1e-11},
    torch.float32: {"rtol": 2e-5, "atol": 2e-5},
}

each_variant = pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id="-".join([n, *o])) for n, variants in VARIANTS.items() for o in variants],
)
each_flag = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
each_device = pytest.mark.parametrize("device", DEVICES)
each_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


def new(name, params, options, flags):
    return getattr(ours, name)(params, **GIVEN[name], **options, **flags)


def replay(name, theta, grads, options):
    """Where the papers lead from theta; a gradient that is None changes nothing."""
    theta = theta.double().cpu().numpy()
    state: dict[str, Any] = {}
    for grad in grads:
        if grad is not None:
            theta = ORACLES[name](theta, grad.double().cpu().numpy(), state, **GIVEN[name], **options)
    return torch.from_numpy(np.asarray(theta))


def assert_arrived(param, expected, dtype):
    torch.testing.assert_close(param.detach().double().cpu(), expected, **TOLERANCES[dtype])


def random(*shape, seed, dtype=torch.float64, device="cpu"):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device, dtype)


def test_every_public_optimizer_has_an_oracle_and_variants():
    assert set(ORACLES) == set(VARIANTS) == set(GIVEN) == set(OPTIMIZERS)


# --- memory --------------------------------------------------------------------------------------------------------


def channels_last(tensor):
    return tensor.contiguous(memory_format=torch.channels_last)


def transposed(tensor):
    return tensor.mT.contiguous().mT


def last_dimension_first(tensor):
    return tensor.movedim(-1, 0).contiguous().movedim(0, -1)


def every_second_column(tensor):
    whole = torch.full((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1), 7.0, dtype=tensor.dtype, device=tensor.device)
    whole[..., 1::2] = tensor
    return whole[..., 1::2]


def rows_of_a_wider_one(tensor):
    whole = torch.full((*tensor.shape[:-1], tensor.shape[-1] + 3), 7.0, dtype=tensor.dtype, device=tensor.device)
    whole[..., 2:-1] = tensor
    return whole[..., 2:-1]


def off_the_start(tensor):
    whole = torch.full((tensor.numel() + 2,), 7.0, dtype=tensor.dtype, device=tensor.device)
    whole[1:-1] = tensor.reshape(-1)
    return whole[1:-1].view(tensor.shape)


def of_one_number(tensor):
    return tensor.reshape(-1)[0].expand(tensor.shape)


def of_one_row(tensor):
    return tensor[:, :1].expand(tensor.shape)


OF_PARAMETERS = [
    *(torch.Tensor.contiguous, channels_last, transposed, last_dimension_first),
    *(every_second_column, rows_of_a_wider_one, off_the_start),
]
LAYOUTS = list(product(OF_PARAMETERS, [*OF_PARAMETERS, of_one_number, of_one_row]))


@each_device
@each_flag
@each_variant
@each_dtype
def test_parameters_and_gradients_laid_out_in_any_way(name, options, flags, dtype, device):
    """Every layout of one with every layout of the other, all in one optimizer; what lies between is left alone."""
    starts = [random(2, 3, 5, 4, seed=i, dtype=dtype, device=device) for i in range(len(LAYOUTS))]
    params = [Parameter(lay(start.clone())) for (lay, _), start in zip(LAYOUTS, starts, strict=True)]
    around = [torch.empty(0, dtype=dtype, device=device).set_(p.untyped_storage()) for p in params]
    optimizer, grads = new(name, params, options, flags), []
    for t in range(4):
        grads.append(
            [
                lay(random(2, 3, 5, 4, seed=100 * t + i, dtype=dtype, device=device))
                for i, (_, lay) in enumerate(LAYOUTS)
            ]
        )
        for param, grad in zip(params, grads[-1], strict=True):
            param.grad = grad
        before = [grad.clone() for grad in grads[-1]]
        optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(grads[-1], before, strict=True)), "a gradient was written to"
    for i, (param, start) in enumerate(zip(params, starts, strict=True)):
        what = f"parameter {LAYOUTS[i][0].__name__}, gradient {LAYOUTS[i][1].__name__}"
        expected = replay(name, start, [step[i] for step in grads], options)
        torch.testing.assert_close(
            param.detach().double().cpu(), expected, **TOLERANCES[dtype], msg=f"{what}: ".__add__
        )
        assert (around[i] == 7).sum() == around[i].numel() - param.numel(), what


@each_device
@each_flag
@each_variant
def test_gradients_whose_layout_changes_from_step_to_step(name, options, flags, device):
    lays = [transposed, torch.Tensor.contiguous, channels_last, of_one_number, every_second_column]
    for of_param in (torch.Tensor.contiguous, channels_last, transposed):
        start = random(2, 3, 5, 4, seed=0, device=device)
        param = Parameter(of_param(start.clone()))
        optimizer = new(name, [param], options, flags)
        grads = [lay(random(2, 3, 5, 4, seed=1 + t, device=device)) for t, lay in enumerate(lays)]
        for grad in grads:
            param.grad = grad
            optimizer.step()
        assert_arrived(param, replay(name, start, grads, options), torch.float64)


@each_device
@each_flag
@each_variant
def test_state_loaded_in_another_layout(name, options, flags, device):
    """Torch's checkpoint of a contiguous training, continued with the parameter laid out otherwise."""
    start, grads = random(2, 3, 5, 4, seed=0, device=device), [random(2, 3, 5, 4, seed=1 + t) for t in range(6)]
    saver = getattr(torch.optim, name)([first := Parameter(start.clone())], **GIVEN[name], **options, foreach=False)
    for grad in grads[:3]:
        first.grad = grad.to(device)
        saver.step()
    param = Parameter(channels_last(first.detach()))
    loader = new(name, [param], options, flags)
    loader.load_state_dict({**loader.state_dict(), "state": saver.state_dict()["state"]})
    for grad in grads[3:]:
        param.grad = grad.to(device)
        loader.step()
    assert_arrived(param, replay(name, start, grads, options), torch.float64)


@each_device
@each_flag
@each_variant
@pytest.mark.parametrize("size", [1, 5])
def test_lazily_negated_gradients(name, options, flags, size, device):
    """The imaginary part of a conjugate: torch keeps the sign as a bit, which a kernel does not see."""
    start, grads = random(size, seed=0, device=device), []
    optimizer = new(name, [param := Parameter(start.clone())], options, flags)
    for t in range(4):
        param.grad = torch.complex(start, random(size, seed=1 + t, device=device)).conj().imag
        assert param.grad.is_neg()
        grads.append(param.grad.clone())
        optimizer.step()
    assert_arrived(param, replay(name, start, grads, options), torch.float64)


@each_device
@each_flag
@each_variant
def test_lazily_conjugated_gradients(name, options, flags, device):
    """Autograd leaves them so where the model conjugates a weight. Real and imaginary parts train side by side."""
    start, grads = torch.view_as_complex(random(5, 2, seed=0, device=device)), []
    optimizer = new(name, [param := Parameter(start.clone())], options, flags)
    for t in range(4):
        optimizer.zero_grad()
        (param.conj() - torch.view_as_complex(random(5, 2, seed=1 + t, device=device))).abs().square().sum().backward()
        assert param.grad.is_conj()
        grads.append(torch.view_as_real(param.grad.resolve_conj()).clone())
        optimizer.step()
    expected = replay(name, torch.view_as_real(start), grads, options)
    assert_arrived(torch.view_as_real(param.detach()), expected, torch.float64)


# --- the first step ------------------------------------------------------------------------------------------------


@each_device
@each_variant
@each_dtype
def test_overflow_at_the_first_step(name, options, dtype, device):
    """The flag is on the device; no trace of that gradient may remain in the state."""
    starts = [random(n, seed=n, dtype=dtype, device=device) for n in (3, 17, 65)]
    params = [Parameter(start.clone()) for start in starts]
    optimizer, grads = new(name, params, options, {"fused": True}), []
    for t, overflow in enumerate([1, 1, 0, 0, 1, 0]):
        for param in params:
            param.grad = random(len(param), seed=10 * t + len(param), dtype=dtype, device=device)
            if overflow:
                param.grad[len(param) // 2] = torch.inf
        grads.append([None if overflow else param.grad.clone() for param in params])
        optimizer.found_inf = torch.tensor(float(overflow), device=device)
        optimizer.step()
    for i, (param, start) in enumerate(zip(params, starts, strict=True)):
        assert_arrived(param, replay(name, start, [step[i] for step in grads], options), dtype)


@each_device
@each_flag
@each_variant
def test_gradients_that_come_late(name, options, flags, device):
    """One parameter has its first gradient when the others are under way; another misses every second."""
    starts = [random(5, seed=i, device=device) for i in range(3)]
    params = [Parameter(start.clone()) for start in starts]
    optimizer, grads = new(name, params, options, flags), []
    for t in range(8):
        missing = {0} if t < 3 else {1} if t % 2 else {}
        for i, param in enumerate(params):
            param.grad = None if i in missing else random(5, seed=10 * t + i, device=device)
        grads.append([param.grad for param in params])
        optimizer.step()
    for i, (param, start) in enumerate(zip(params, starts, strict=True)):
        assert_arrived(param, replay(name, start, [step[i] for step in grads], options), torch.float64)


# --- the ends of vectors -------------------------------------------------------------------------------------------

SIZES = [*range(1, 68), 127, 129, 1023, 1025, 2049]


@each_device
@each_flag
@each_variant
@each_dtype
def test_every_size(name, options, flags, dtype, device):
    starts = [random(n, seed=n, dtype=dtype, device=device) for n in SIZES]
    params = [Parameter(start.clone()) for start in starts]
    optimizer, grads = new(name, params, options, flags), []
    for t in range(3):
        grads.append([random(n, seed=5000 * t + n, dtype=dtype, device=device) for n in SIZES])
        for param, grad in zip(params, grads[-1], strict=True):
            param.grad = grad
        optimizer.step()
    for i, (param, start) in enumerate(zip(params, starts, strict=True)):
        assert_arrived(param, replay(name, start, [step[i] for step in grads], options), dtype)


@each_device
@each_flag
@each_variant
@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=str)
def test_one_element_that_is_not_finite_does_not_spread(name, options, flags, bad, device):
    starts = [random(n, seed=n, dtype=torch.float32, device=device) for n in SIZES]
    params = [Parameter(start.clone()) for start in starts]
    optimizer, grads = new(name, params, options, flags), []
    for t in range(3):
        grads.append([random(n, seed=5000 * t + n, dtype=torch.float32, device=device) for n in SIZES])
        for param, grad in zip(params, grads[-1], strict=True):
            param.grad = grad.clone()
            if t == 0:
                param.grad[len(param) // 3] = bad
        optimizer.step()
    for i, (param, start) in enumerate(zip(params, starts, strict=True)):
        expected, hit = replay(name, start, [step[i] for step in grads], options), len(param) // 3
        others = torch.arange(len(param)) != hit
        assert not torch.isfinite(param[hit])
        assert_arrived(param.detach().cpu()[others], expected[others], torch.float32)


@each_device
@each_dtype
@pytest.mark.parametrize("size", [1, 3, 7, 9, 15, 17, 31, 33])
def test_rmsprop_in_every_combination(size, dtype, device):
    for momentum, centered, decay, maximize, flags in product(
        [0, 0.8], [False, True], [0, 0.1], [False, True], FLAGS.values()
    ):
        options = {"momentum": momentum, "centered": centered, "weight_decay": decay, "maximize": maximize}
        start = random(size, seed=0, dtype=dtype, device=device)
        grads = [random(size, seed=1 + t, dtype=dtype, device=device) for t in range(6)]
        optimizer = new("RMSprop", [param := Parameter(start.clone())], options, flags)
        for grad in grads:
            param.grad = grad
            optimizer.step()
        assert_arrived(param, replay("RMSprop", start, grads, options), dtype)

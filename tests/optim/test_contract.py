"""What every optimizer must keep: the papers' numbers (NumPy) and torch's, on replayed random gradients."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim

from .public import OPTIMIZERS


def decaying_sums(x, rate):
    """y_t = Σ_{s<=t} rate^(t-s) x_s for every t: what a running buffer holds, without its recursion."""
    t = np.arange(len(x))
    return np.tril(float(rate) ** np.abs(t[:, None] - t)) @ x


def averages(x, rate):
    return (1 - rate) * decaying_sums(x, rate)


def sgd_direction(g, *, momentum, dampening, nesterov):
    """Sutskever et al. 2013, equations (1)-(4), from all gradients so far; the first is not dampened."""
    if momentum == 0:
        return g[-1]
    b = decaying_sums(np.concatenate([g[:1], (1 - dampening) * g[1:]]), momentum)[-1]
    return g[-1] + momentum * b if nesterov else b


def rmsprop_direction(g, *, alpha, eps, momentum, centered):
    """Hinton 2012, lecture 6e; Graves 2013, equations (38)-(41)."""
    variance = averages(g**2, alpha) - centered * averages(g, alpha) ** 2
    return decaying_sums(g / (np.sqrt(variance) + eps), momentum)[-1]


def adam_direction(g, *, betas, eps, amsgrad):
    """Kingma & Ba 2015, Algorithm 1; Reddi et al. 2018, Algorithm 2."""
    m, v = averages(g, betas[0]), averages(g**2, betas[1])
    if amsgrad:
        v = np.maximum.accumulate(v)
    t = len(g)
    return m[-1] / (1 - betas[0] ** t) / (np.sqrt(v[-1] / (1 - betas[1] ** t)) + eps)


def replay_numpy(direction, theta, grads, *, lr, weight_decay, maximize, decoupled, **options):
    """All iterates. Decay joins the gradient; decoupled, the step (Loshchilov & Hutter 2019, Algorithm 2)."""
    history, iterates = [], []
    for grad in grads:
        history.append((-grad if maximize else grad) + (0 if decoupled else weight_decay) * theta)
        step = direction(np.array(history), **options) + (weight_decay if decoupled else 0) * theta
        theta = theta - lr * step
        iterates.append(theta)
    return np.array(iterates)


def grid(**values):
    return [dict(zip(values, choice, strict=True)) for choice in product(*values.values())]


class Case(NamedTuple):
    direction: object
    options: list
    decoupled: bool = False


COMMON = {"lr": [0.05], "weight_decay": [0, 0.02], "maximize": [False, True]}
PLAIN = grid(**COMMON, momentum=[0], dampening=[0], nesterov=[False])
HEAVY_BALL = grid(**COMMON, momentum=[0.9], dampening=[0, 0.3], nesterov=[False])
NESTEROV = grid(**COMMON, momentum=[0.9], dampening=[0], nesterov=[True])
RMSPROP = grid(**COMMON, alpha=[0.9], eps=[1e-3], momentum=[0, 0.8], centered=[False, True])
ADAM = grid(**COMMON, betas=[(0.8, 0.97)], eps=[1e-3], amsgrad=[False, True])
CASES = {
    "SGD": Case(sgd_direction, PLAIN + HEAVY_BALL + NESTEROV),
    "RMSprop": Case(rmsprop_direction, RMSPROP),
    "Adam": Case(adam_direction, ADAM),
    "AdamW": Case(adam_direction, ADAM, decoupled=True),
}


def label(name, options):
    return "-".join([name, *(f"{key}={value}" for key, value in options.items() if value and key != "lr")])


each_variant = pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id=label(n, o)) for n, case in CASES.items() for o in case.options],
)
each_optimizer = pytest.mark.parametrize("name", CASES)


def both(name, make_params, **options):
    """Ours and torch's, each over its own copy of the same parameters."""
    return [getattr(package, name)(make_params(), **options) for package in (optim, torch.optim)]


def params_of(optimizer):
    return [param for group in optimizer.param_groups for param in group["params"]]


def random_params(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 2), (4,), ()]
    return [Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in shapes]


def step_both(pair, generator, missing=()):
    """One step of each on the same random gradients; the parameters whose index is in `missing` have none."""
    grads = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in params_of(pair[0])]
    for optimizer in pair:
        for i, (param, grad) in enumerate(zip(params_of(optimizer), grads, strict=True)):
            param.grad = None if i in missing else grad.to(param.dtype, copy=True)
        optimizer.step()


def assert_equal(pair, rtol=1e-14, atol=1e-14):
    torch.testing.assert_close(*map(params_of, pair), rtol=rtol, atol=atol)


def test_every_public_optimizer_has_a_case():
    assert set(CASES) == set(OPTIMIZERS)


@each_variant
def test_follows_the_paper(name, options):
    rng = np.random.default_rng(0)
    theta, grads = rng.normal(size=7), rng.normal(size=(200, 7))
    param = Parameter(torch.tensor(theta))
    optimizer = getattr(optim, name)([param], **options)
    iterates = []
    for grad in grads:
        param.grad = torch.tensor(grad)
        optimizer.step()
        iterates.append(param.detach().numpy().copy())
    case = CASES[name]
    expected = replay_numpy(case.direction, theta, grads, decoupled=case.decoupled, **options)
    np.testing.assert_allclose(iterates, expected, rtol=1e-12, atol=1e-12)


@each_variant
def test_replays_torch(name, options):
    pair, generator = both(name, random_params, **options), torch.Generator().manual_seed(1)
    for _ in range(200):
        step_both(pair, generator)
        assert_equal(pair)


@each_variant
def test_late_and_missing_gradients(name, options):
    pair, generator = both(name, random_params, **options), torch.Generator().manual_seed(2)
    for t in range(20):
        step_both(pair, generator, missing={0} if t < 5 else {1} if t % 2 else {})
    assert_equal(pair)


@each_variant
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-3)], ids=str)
def test_single_and_half_precision(name, options, dtype, tolerance):
    """In bf16 torch rounds after every operation and we when a value is stored: 20 steps of a few half ulps apart."""
    pair, generator = both(name, lambda: random_params(dtype), **options), torch.Generator().manual_seed(3)
    for _ in range(20):
        step_both(pair, generator)
    assert_equal(pair, rtol=tolerance, atol=tolerance)
    assert all(param.dtype == dtype for param in params_of(pair[0]))


@each_optimizer
def test_groups_and_schedules(name):
    def two_groups():
        first, *others = random_params()
        return [{"params": [first], "lr": 0.3, "weight_decay": 0.1}, {"params": others}]

    pair, generator = both(name, two_groups, lr=0.1), torch.Generator().manual_seed(4)
    schedules = [torch.optim.lr_scheduler.StepLR(optimizer, 3, gamma=0.5) for optimizer in pair]
    for _ in range(10):
        step_both(pair, generator)
        for schedule in schedules:
            schedule.step()
    assert_equal(pair)
    assert [group["lr"] for group in pair[0].param_groups] == pytest.approx([0.3 / 8, 0.1 / 8])


@each_optimizer
def test_strided_parameters_and_gradients(name):
    """A parameter that is a slice of a larger tensor, its gradient the other way round in memory."""
    whole, options = torch.arange(24, dtype=torch.float64).reshape(4, 6), CASES[name].options[-1]
    strided, plain = Parameter(whole[:, ::2]), Parameter(whole[:, ::2].clone())
    skipped = whole[:, 1::2].clone()
    pair = getattr(optim, name)([strided], **options), getattr(torch.optim, name)([plain], **options)
    for grad in torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64):
        strided.grad, plain.grad = grad.T, grad.T.contiguous()
        for optimizer in pair:
            optimizer.step()
    assert_equal(pair)
    assert torch.equal(whole[:, ::2], strided)
    assert torch.equal(whole[:, 1::2], skipped)

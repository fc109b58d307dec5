"""Mixed precision: under a GradScaler, and with the scale and the overflow flag that it hands to a fused optimizer."""

import copy

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim as ours

from .public import OPTIMIZERS

# one entry each, with every option that adds a tensor to the state
OPTIONS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "amsgrad": True, "weight_decay": 0.01},
    "AdamW": {"lr": 0.01, "amsgrad": True},
}
MODES = {"default": {}, "for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SCALE = 1024.0  # a power of two: dividing by it loses nothing

each_optimizer = pytest.mark.parametrize("name", OPTIONS)
each_device = pytest.mark.parametrize("device", DEVICES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def of_ours(name, params, mode="fused", **options):
    return getattr(ours, name)(params, **{**OPTIONS[name], **MODES[mode], **options})


def of_torch(name, params, mode="fused", **options):
    chosen = {"foreach": False} if name == "RMSprop" and mode == "fused" else MODES[mode]
    return getattr(torch.optim, name)(params, **{**OPTIONS[name], **chosen, **options})


def new_params(dtype=torch.float32, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(s, generator=generator).to(device, dtype)) for s in [(5, 3), (17,), (), (0,)]]


def step(optimizer, t, *, scale=None, found_inf=None, dtype=torch.float32, device="cpu"):
    """The t-th step, on gradients that t decides, multiplied by `scale`. Returns them as the step left them."""
    params, generator = optimizer.param_groups[0]["params"], torch.Generator().manual_seed(t)
    for param in params:
        grad = torch.randn(param.shape, generator=generator).to(device, dtype)
        param.grad = grad if scale is None else grad * scale
    if scale is not None:
        optimizer.grad_scale = torch.tensor(scale, device=device)
    if found_inf is not None:
        optimizer.found_inf = torch.full((), float(found_inf), device=device)
    optimizer.step()
    for attribute in ("grad_scale", "found_inf"):
        if hasattr(optimizer, attribute):
            delattr(optimizer, attribute)
    return [param.grad for param in params]


def assert_same(mine, reference, dtype=torch.float32, **exact):
    tolerance = exact or {"rtol": 8 * torch.finfo(dtype).eps, "atol": 8 * torch.finfo(dtype).eps}
    torch.testing.assert_close(mine, reference, check_device=False, **tolerance)  # where `step` is depends on the flags


def state_of(optimizer):
    return copy.deepcopy(optimizer.state_dict()["state"])


def test_every_public_optimizer_has_an_entry():
    assert set(OPTIONS) == set(OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize("mode", [*MODES, "not fused"])
def test_only_a_fused_optimizer_supports_unscaling_in_step(name, mode):
    """Lightning refuses to clip the gradients of one that says so."""
    optimizer = getattr(ours, name)(new_params(), **{"not fused": {"fused": False}, **MODES}[mode])
    assert getattr(optimizer, "_step_supports_amp_scaling", False) is (mode == "fused")


@each_device
@each_optimizer
@each_dtype
def test_scaled_gradients_are_divided(name, dtype, device):
    plain, scaled = (of_ours(name, new_params(dtype, device)) for _ in range(2))
    for t in range(5):
        step(plain, t, dtype=dtype, device=device)
        step(scaled, t, scale=SCALE if dtype != torch.float16 else 8.0, found_inf=0, dtype=dtype, device=device)
    assert_same(scaled.param_groups[0]["params"], plain.param_groups[0]["params"], dtype)
    assert_same(state_of(scaled), state_of(plain), dtype)


@each_device
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "RMSprop"])  # torch has no fused one
@each_dtype
def test_gradients_are_left_unscaled_as_torch_leaves_them(name, dtype, device):
    left = []
    for make in (of_ours, of_torch):
        optimizer = make(name, new_params(dtype, device))
        left.append(
            [step(optimizer, t, scale=8.0, found_inf=f, dtype=dtype, device=device) for t, f in [(0, 0), (1, 1)]]
        )
    ours, theirs = left
    assert_same(ours, theirs, dtype)


@each_device
@each_optimizer
@each_dtype
@pytest.mark.parametrize("with_scale", [False, True], ids=["", "scaled"])
def test_an_overflow_changes_neither_parameters_nor_state(name, with_scale, dtype, device):
    optimizer = of_ours(name, new_params(dtype, device))
    for t in range(3):
        step(optimizer, t, dtype=dtype, device=device)
    params, state = copy.deepcopy(optimizer.param_groups[0]["params"]), state_of(optimizer)
    step(optimizer, 3, scale=8.0 if with_scale else None, found_inf=1, dtype=dtype, device=device)
    assert_same(optimizer.param_groups[0]["params"], params, rtol=0, atol=0)
    assert_same(state_of(optimizer), state, rtol=0, atol=0)


@each_device
@each_optimizer
@each_dtype
@pytest.mark.parametrize("overflows", [1, 3])
def test_after_overflows_at_the_start_the_next_step_is_a_first_one(name, overflows, dtype, device):
    """In particular SGD's, whose buffer starts as the gradient itself, undampened."""
    optimizer, fresh = (of_ours(name, new_params(dtype, device)) for _ in range(2))
    for t in range(overflows):
        step(optimizer, 100 + t, found_inf=1, dtype=dtype, device=device)
        assert_same(optimizer.param_groups[0]["params"], new_params(dtype, device), rtol=0, atol=0)
        for entry in state_of(optimizer).values():
            assert not any(value.any() for key, value in entry.items() if key == "step")
    for t in range(4):
        for o in (optimizer, fresh):
            step(o, t, found_inf=0, dtype=dtype, device=device)
        assert_same(*(o.param_groups[0]["params"] for o in (optimizer, fresh)), rtol=0, atol=0)
    assert_same(*(state_of(o) for o in (optimizer, fresh)), rtol=0, atol=0)


@each_device
@each_optimizer
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("overflow_at", [None, 0, 2])
@pytest.mark.parametrize("clipped", [False, True], ids=["", "clipped"])
def test_under_a_grad_scaler(name, mode, overflow_at, clipped, device):
    """Scaled losses, one of them infinite: as torch's optimizer under a scaler, and as one without, less that step."""

    def trained(make, mode, *, scaler):
        params = new_params(device=device)[:2]
        optimizer = make(name, params, mode)
        for t in range(5):
            generator = torch.Generator().manual_seed(t)
            inputs = torch.randn(4, 5, generator=generator).to(device)
            loss = ((inputs @ params[0]).square().sum() + (params[1] - 1).square().sum()) / 8
            if overflow_at == t:
                if scaler is None:
                    continue
                loss = loss * torch.inf
            optimizer.zero_grad()
            (loss if scaler is None else scaler.scale(loss)).backward()
            if clipped:
                if scaler is not None:
                    scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(params, 0.5)
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
        return params, state_of(optimizer)

    def scaler():
        return torch.amp.GradScaler(device, init_scale=SCALE)

    mine, reference = trained(of_ours, mode, scaler=scaler()), trained(of_torch, "for-loop", scaler=scaler())
    bare = trained(of_torch, "for-loop", scaler=None)
    for got, wanted in [(mine[0], reference[0]), (mine[0], bare[0]), (mine[1], reference[1])]:
        assert_same(got, wanted, rtol=1e-5, atol=1e-5)

"""Other shapes and dtypes of state and gradients, default devices, users' subclasses, hooks, lazy negation."""

import contextlib
import copy

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim

from .public import OPTIMIZERS

OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def one(size, name, dtype=torch.float32, package=optim, **options):
    param = Parameter(torch.linspace(-1, 1, size, dtype=dtype))
    param.grad = torch.ones_like(param)
    return param, getattr(package, name)([param], **OPTIONS[name], **options)


@each_optimizer
@pytest.mark.parametrize("shape", [(100_000,), (100,), (20, 10)], ids=str)
@pytest.mark.parametrize("fused", [None, True])
def test_state_of_another_shape_is_refused_and_nothing_is_overwritten(name, shape, fused):
    _, saver = one(200, name)
    saver.step()
    param = Parameter(torch.zeros(shape))
    param.grad = torch.ones(shape)
    loader = getattr(optim, name)([param], **OPTIONS[name], fused=fused)
    with pytest.raises(RuntimeError, match=r"the size of .* must match the size of its parameter"):
        loader.load_state_dict({**saver.state_dict(), "param_groups": loader.state_dict()["param_groups"]})
    with pytest.raises(RuntimeError, match="size") if shape != (20, 10) else contextlib.nullcontext():
        loader.step()


@each_optimizer
@pytest.mark.parametrize("size", [67, 200_000])
def test_a_parameter_that_changes_its_dtype_keeps_stepping_or_is_refused(name, size):
    param, optimizer = one(size, name)
    optimizer.step()
    param.data, param.grad = param.data.double(), torch.ones(size, dtype=torch.float64)
    reference = copy.deepcopy(optimizer)
    reference.param_groups[0]["foreach"] = False
    reference.param_groups[0]["params"][0].grad = param.grad.clone()
    optimizer.step()
    reference.step()
    assert torch.equal(param, reference.param_groups[0]["params"][0])


@each_optimizer
def test_a_gradient_of_another_dtype_uses_the_definition(name):
    param, optimizer = one(200_000, name, torch.bfloat16)
    full, reference = one(200_000, name, torch.float32)
    full.data.copy_(param.data)
    param.grad_dtype = None
    param.grad, full.grad = torch.full((200_000,), 0.3), torch.full((200_000,), 0.3)
    optimizer.step()
    reference.step()
    torch.testing.assert_close(param.float(), full.bfloat16().float(), rtol=2**-7, atol=2**-7)


@each_optimizer
@pytest.mark.parametrize("foreach", [None, True, False])
def test_a_default_device_does_not_matter(name, foreach):
    def stepped():
        param = Parameter(torch.linspace(-1, 1, 67, device="cpu"))
        param.grad = torch.ones(67, device="cpu")
        optimizer = getattr(optim, name)([param], **OPTIONS[name], foreach=foreach)
        for _ in range(3):
            optimizer.step()
        return param

    expected = stepped()
    with torch.device("meta"):
        found = stepped()
    assert torch.equal(found, expected)


def test_a_subclass_with_other_arguments_loads_and_steps():
    class Renamed(optim.RMSprop):
        def __init__(self, params, rate=0.01, **options):
            super().__init__(params, lr=rate, **options)

    (param, ours), (_, theirs) = one(67, "RMSprop"), one(67, "RMSprop", package=torch.optim)
    theirs.step()
    ours = Renamed([param])
    ours.load_state_dict(theirs.state_dict())
    ours.step()
    assert ours.param_groups[0]["fused"] is None
    assert Renamed([Parameter(torch.zeros(2, 3))], 1.0, replicas={"lr": [0.1, 0.2]}).param_groups[0]["lr"] == 1


def test_hooks_see_the_final_state():
    _, saver = one(67, "Adam")
    saver.step()
    param, loader = one(67, "Adam")
    seen = []
    loader.register_load_state_dict_post_hook(lambda o: seen.append(o.state[param]["exp_avg"]))
    loader.load_state_dict(saver.state_dict())
    assert seen[0] is loader.state[param]["exp_avg"]
    assert seen[0].data_ptr() != saver.state_dict()["state"][0]["exp_avg"].data_ptr()


def test_lazily_conjugated_and_negated_parameters_are_refused():
    for lazy in (torch.ones(3, dtype=torch.cfloat).conj(), torch._neg_view(torch.ones(3))):
        with pytest.raises(ValueError, match="yet to be negated or conjugated"):
            optim.SGD([Parameter(lazy)])

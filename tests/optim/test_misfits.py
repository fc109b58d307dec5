"""What does not fit: state of another shape or dtype, odd layouts, default devices, users' subclasses, bad groups."""

import contextlib
import copy
import os

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _ways

OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}
each_optimizer = pytest.mark.parametrize("name", optim.__all__)


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
def test_a_gradient_of_another_dtype_goes_by_the_definition(name):
    param, optimizer = one(200_000, name, torch.bfloat16)
    full, reference = one(200_000, name, torch.float32)
    full.data.copy_(param.data)
    param.grad_dtype = None
    param.grad, full.grad = torch.full((200_000,), 0.3), torch.full((200_000,), 0.3)
    optimizer.step()
    reference.step()
    torch.testing.assert_close(param.float(), full.bfloat16().float(), rtol=2**-7, atol=2**-7)


@each_optimizer
def test_replicas_whose_axis_is_not_the_outermost_in_memory(name):
    generator = torch.Generator().manual_seed(0)
    start, grads = torch.randn(3, 5, generator=generator), torch.randn(4, 3, 5, generator=generator)
    inner, outer = Parameter(start.T.contiguous().T), Parameter(start.clone())
    pair = [getattr(optim, name)([p], **OPTIONS[name], replicas={"lr": [0.1, 0.01, 0.2]}) for p in (inner, outer)]
    for grad in grads:
        inner.grad, outer.grad = grad.T.contiguous().T, grad.clone()
        for optimizer in pair:
            optimizer.step()
    torch.testing.assert_close(inner, outer)


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


def test_a_verdict_on_a_kernel_does_not_hang_on_the_first_hyperparameters(caplog):
    for alpha in (0.0, 0.9):
        param = Parameter(torch.ones(67))
        param.grad = torch.ones(67)
        optim.RMSprop([param], alpha=alpha, centered=True, lr=0.0).step()
    assert caplog.text == ""


def test_hooks_see_the_state_that_stays():
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


STACKED = {"params": [Parameter(torch.zeros(2, 3))]}


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"params": [Parameter(torch.zeros(3, 3))]}, ValueError, r"must be stacked \[2, ...\]"),
        ({**STACKED, "replicas": None}, ValueError, "a group without replicas needs an lr of its own"),
        ({**STACKED, "lr": 0.5, "replicas": {"lr": [1, 2]}}, ValueError, "give lr or replicas={'lr': ...}, not both"),
        ({**STACKED, "replicas": {}}, ValueError, "replicas must give values of lr"),
        ({**STACKED, "replicas": {"lr": 0.1}}, ValueError, "replicas must give a list of values"),
        ([Parameter(torch.zeros(2))], TypeError, "param_group must be a dict"),
    ],
)
def test_a_bad_group_is_refused_and_not_added(group, error, message):
    optimizer = optim.SGD([Parameter(torch.zeros(2, 3))], replicas={"lr": [0.1, 0.2]})
    with pytest.raises(error, match=message):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


def test_replicas_that_do_not_fit_are_not_loaded():
    together = optim.SGD([Parameter(torch.zeros(2, 3))], replicas={"lr": [0.1, 0.2]})
    alone = optim.SGD([Parameter(torch.zeros(3))])
    before = copy.deepcopy(alone.state_dict())
    with pytest.raises(ValueError, match=r"must be stacked \[2, ...\] for 2 replicas, got shape \(3,\)"):
        alone.load_state_dict(together.state_dict())
    with pytest.raises(ValueError, match="the state dict is one without replicas"):
        together.load_state_dict(before)
    assert alone.state_dict() == before


def test_numpy_values_become_plain_numbers(tmp_path):
    import numpy as np

    optimizer = optim.SGD([Parameter(torch.zeros(3, 2))], replicas={"lr": np.logspace(-3, -1, 3)})
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert loaded["param_groups"][0]["replicas"]["lr"] == pytest.approx([0.001, 0.01, 0.1])


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners and modes")
def test_a_cache_folder_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    from bakeoff.optim import _native

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    open_to_all = tmp_path / "bakeoff"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    folder = _native._cache_folder()
    assert folder != open_to_all
    assert folder.stat().st_mode & 0o022 == 0


@torch.no_grad()
def parts_of(optimizer):
    group = optimizer.param_groups[0]
    return [part for tensors in optimizer._gather(group) for part in _ways.plan(optimizer, tensors, group)]


def test_dtypes_never_share_a_kernel_call():
    made = [Parameter(torch.ones(70_000, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    for param in made:
        param.grad = torch.ones_like(param)
    optimizer = optim.RMSprop(made)
    assert [[p.dtype for p in part.tensors.params] for part in parts_of(optimizer)] == [
        [torch.float32],
        [torch.float64],
    ]
    optimizer.step()
    torch.testing.assert_close(made[0].double(), made[1])


def test_state_of_another_dtype_as_wide_goes_by_the_definition():
    param, optimizer = one(67, "Adam", torch.float16, eps=1e-3)
    optimizer.step()
    optimizer.state[param]["exp_avg"] = optimizer.state[param]["exp_avg"].bfloat16()
    assert [part.way for part in parts_of(optimizer)] == [_ways.Way.DEFINITION]

"""The CUDA paths: on a GPU where there is one; elsewhere as far as CPU tensors and Triton's interpreter take them."""

import sys
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _dispatch, _verify
from bakeoff.optim._tensors import Tensors

from .public import OPTIMIZERS

K = 3
REPLICAS = {"lr": [0.1, 0.01, 0.3], "weight_decay": [0, 0.1, 0.01]}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.9, "maximize": True}, {"centered": True, "eps": 1e-3}],
    "Adam": [{}, {"amsgrad": True}, {"maximize": True}],
    "AdamW": [{}, {"amsgrad": True}],
}
DIFFERING: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": [0.9, 0.0, 0.5]},
    "RMSprop": {"momentum": [0.9, 0.0, 0.5], "alpha": [0.9, 0.99, 0.5], "eps": [1e-8, 1e-3, 1e-2]},
    "Adam": {"betas": [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)], "eps": [1e-8, 1e-3, 1e-2]},
}
DIFFERING["AdamW"] = DIFFERING["Adam"]
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
each_variant = pytest.mark.parametrize(("name", "options"), [(n, o) for n, many in OPTIONS.items() for o in many])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; run where there is one")
quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what a block masks out divides by 0 in the interpreter
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def as_on_cuda(kernels, monkeypatch):
    """Dispatch tensors of the CPU as if on a GPU, to interpreted kernels."""
    monkeypatch.setattr(_dispatch, "_verified", {})
    monkeypatch.setattr(_verify, "_warned", set())
    if not torch.cuda.is_available():
        monkeypatch.setattr(Tensors, "on_cuda", property(lambda self: True))
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
        monkeypatch.setitem(sys.modules, "bakeoff.optim._triton", kernels)
        monkeypatch.setattr(optim, "_triton", kernels, raising=False)


def params(shapes, dtype=torch.float32, device=DEVICE):
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(shape, generator=generator).to(device, dtype)) for shape in shapes]


def train(optimizer, steps, scale=1.0):
    for t in steps:
        generator = torch.Generator().manual_seed(100 + t)
        for param in optimizer.param_groups[0]["params"]:
            param.grad = scale * torch.randn(param.shape, generator=generator).to(param)
        optimizer.step()
    return [param.detach().cpu() for param in optimizer.param_groups[0]["params"]]


@quiet
@each_variant
def test_replicas_in_one_call_are_replicas_one_by_one(name, options, as_on_cuda, caplog):
    shapes = [(K, 40, 5), (K, 7), (K,)]
    differing = {key: v for key, v in {**REPLICAS, **DIFFERING[name]}.items() if key not in options}
    together = getattr(optim, name)(params(shapes), **options, replicas=differing, fused=True)
    one_by_one = getattr(optim, name)(params(shapes, device="cpu"), **options, replicas=differing, fused=False)
    torch.testing.assert_close(train(together, range(4)), train(one_by_one, range(4)), rtol=1e-5, atol=1e-5)
    assert caplog.text == ""
    assert list(_dispatch._verified.values()).count(True) >= 1


@quiet
@each_variant
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_fused_is_the_definition(name, options, dtype, as_on_cuda, caplog):
    shapes, tolerance = [(40, 5), (67,), ()], {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 0.1}[dtype]
    ours = getattr(optim, name)(params(shapes, dtype), **options)
    definition = getattr(optim, name)(params(shapes, dtype, "cpu"), **options, fused=False)
    found, expected = train(ours, range(5)), train(definition, range(5))
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert caplog.text == ""
    assert set(_dispatch._verified.values()) == {True}


@quiet
@each_optimizer
def test_only_the_kernels_read_the_overflow_flag(name, as_on_cuda):
    """After the first step nothing asks the GPU: a step that overflowed leaves parameters and counts as they were."""
    optimizer = getattr(optim, name)(params([(67,)]), fused=True)
    [before] = train(optimizer, range(2))
    before = before.clone()
    optimizer.grad_scale = torch.full((), 4.0, device=DEVICE)
    optimizer.found_inf = torch.ones((), device=DEVICE)
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        optimizer.param_groups[0]["params"][0].grad.fill_(torch.inf)
        optimizer.step()
        torch.cuda.set_sync_debug_mode("default")
    else:
        train(optimizer, [2], scale=torch.inf)
    [after] = [param.detach().cpu() for param in optimizer.param_groups[0]["params"]]
    assert torch.equal(before, after)
    assert all(state["step"] == 2 for state in optimizer.state.values() if "step" in state)
    optimizer.found_inf = torch.zeros((), device=DEVICE)
    [scaled] = train(optimizer, [2], scale=4.0)
    plain = getattr(optim, name)(params([(67,)], device="cpu"), fused=False)
    torch.testing.assert_close([scaled], train(plain, range(3)), rtol=1e-5, atol=1e-5)


@needs_gpu
@each_variant
@pytest.mark.parametrize("flag", [{}, {"fused": True}, {"foreach": True}, {"capturable": True}], ids=str)
def test_replays_torch_on_a_gpu(name, options, flag):
    if name == "SGD" and "capturable" in flag:
        flag = {}
    shapes = [(300, 50), (67,), ()]
    ours = getattr(optim, name)(params(shapes), **options, **flag)
    theirs = getattr(torch.optim, name)(params(shapes), **options, foreach=False)
    torch.testing.assert_close(train(ours, range(20)), train(theirs, range(20)), rtol=1e-4, atol=1e-5)


@needs_gpu
@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize("flag", [{}, {"fused": True}], ids=str)
def test_a_captured_step_replays(name, flag):
    """Warmed up on a side stream, as torch asks, then captured and replayed."""
    eager = getattr(optim, name)(params([(300, 50), (67,)]), lr=1e-2)
    graphed = getattr(optim, name)(params([(300, 50), (67,)]), lr=1e-2, capturable=True, **flag)
    for optimizer in (eager, graphed):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.ones_like(param)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        graphed.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        graphed.step()
    for _ in range(3):
        graph.replay()
    for _ in range(4):
        eager.step()
    for a, b in zip(graphed.param_groups[0]["params"], eager.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@needs_gpu
@each_optimizer
def test_a_replica_sweep_is_one_launch(name):
    optimizer = getattr(optim, name)(params([(64, 64, 64), (64, 64)]), replicas={"lr": [0.01] * 64})
    train(optimizer, range(3))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        optimizer.step()
        torch.cuda.synchronize()
    assert sum(f"_{name.lower().removesuffix('w')}" in event.name for event in profile.events()) == 1


@needs_gpu
@each_optimizer
def test_a_checkpoint_of_a_cpu_continues_on_a_gpu(name):
    saver = getattr(torch.optim, name)(params([(67,)], device="cpu"), foreach=False)
    halfway = train(saver, range(5))
    loader = getattr(optim, name)([Parameter(param.clone().cuda()) for param in halfway], fused=True)
    loader.load_state_dict(saver.state_dict())
    torch.testing.assert_close(train(loader, range(5, 10)), train(saver, range(5, 10)), rtol=1e-5, atol=1e-5)

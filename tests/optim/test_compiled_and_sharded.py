"""Steps under torch.compile, and on parameters sharded over processes: equal to plain training."""

import json
import os
import subprocess
import sys

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

each_optimizer = pytest.mark.parametrize("name", OPTIONS)


def new_params(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in [(5, 3), (17,), ()]]


def train(optimizer, steps, take_step):
    for t in steps:
        generator = torch.Generator().manual_seed(t)
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(param.dtype)
        take_step()
        optimizer.param_groups[0]["lr"] *= 0.9
    return optimizer.param_groups[0]["params"]


def test_every_public_optimizer_has_an_entry():
    assert set(OPTIONS) == set(OPTIMIZERS)


@pytest.fixture
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled_and_plain(name, mode, backend, dtype):
    results = []
    for compiled in (True, False):
        optimizer = getattr(ours, name)(new_params(dtype), **OPTIONS[name], **MODES[mode])
        take_step = torch.compile(optimizer.step, backend=backend) if compiled else optimizer.step
        results.append((train(optimizer, range(5), take_step), optimizer.state_dict()["state"]))
    return results


@each_optimizer
@pytest.mark.parametrize("mode", ["default", "foreach", "fused"])
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_step_is_the_plain_step(name, mode):
    """To single precision: compiled, the bias corrections come from the count, a float32 tensor, as in torch."""
    torch.testing.assert_close(*compiled_and_plain(name, mode, "aot_eager", torch.float64), rtol=5e-6, atol=5e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "Adam" else pytest.mark.long) for name in OPTIONS]
)
@pytest.mark.usefixtures("fresh_compiler")
def test_step_through_inductor_is_the_plain_step(name):
    torch.testing.assert_close(*compiled_and_plain(name, "default", "inductor", torch.float32), rtol=1e-5, atol=1e-6)


SHARDED = """
import json, sys
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from bakeoff import optim as ours

rank, world, store, (options, modes) = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
mesh = init_device_mesh("cpu", (world,))


def new_net():
    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)).double()
    generator = torch.Generator().manual_seed(0)
    for param in net.parameters():
        param.data.copy_(torch.randn(param.shape, generator=generator, dtype=torch.float64) / 2)
    return net


def train(net, optimizer):
    for t in range(4):
        inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), inputs[:, :3].argmax(1)).backward()
        optimizer.step()
    return [p.full_tensor() if isinstance(p, DTensor) else p for p in net.parameters()]


def train_tensors(wrap, make):
    # a parameter sharded by rows, one by columns, one on every rank, one whose gradients are yet to be added up
    generator = torch.Generator().manual_seed(1)
    draw = lambda: torch.randn(5, 3, generator=generator, dtype=torch.float64)
    params = [torch.nn.Parameter(wrap(i, draw())) for i in range(len(placements))]
    optimizer = make(params)
    for t in range(4):
        for i, p in enumerate(params):
            p.grad = wrap(i, draw(), True)
        optimizer.step()
    full = [[p, *(v for k, v in sorted(optimizer.state[p].items()) if k != "step")] for p in params]
    return [[v.full_tensor() if isinstance(v, DTensor) else v for v in values] for values in full], optimizer


placements = [Shard(0), Shard(1), Replicate(), Replicate()]


def split(i, tensor, is_gradient=False):
    if is_gradient and i == 3:
        return DTensor.from_local(tensor / world, mesh, [Partial()])
    return distribute_tensor(tensor, mesh, [placements[i]])


def check(name, flags):
    make = lambda params: getattr(ours, name)(params, **options[name], **flags)
    net, plain = new_net(), new_net()
    for layer in (net[0], net[2], net):
        fully_shard(layer, mesh=mesh)
    torch_optimizer = getattr(torch.optim, name)(plain.parameters(), **options[name], foreach=False)
    expected = train(plain, torch_optimizer)
    torch.testing.assert_close(train(net, make(net.parameters())), expected, rtol=1e-12, atol=1e-12)
    expected, _ = train_tensors(lambda i, t, _=False: t, make)
    got, optimizer = train_tensors(split, make)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    for p in optimizer.param_groups[0]["params"]:
        for key, value in optimizer.state[p].items():
            assert key == "step" or (isinstance(value, DTensor) and value.placements == p.placements), key


failures = {}
for name in options:
    for mode, flags in modes.items():
        try:
            check(name, flags)
        except Exception as error:
            failures[f"{name}, {mode}"] = f"{type(error).__name__}: {error}"
dist.destroy_process_group()
print(json.dumps(failures))
"""


@pytest.mark.parametrize("world", [1, pytest.param(2, marks=pytest.mark.long)])
def test_sharded_parameters(world, tmp_path):
    """DTensors and FSDP's, over gloo on the loopback."""
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    arguments = [str(world), str(tmp_path / "store"), json.dumps([OPTIONS, MODES])]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", SHARDED, str(rank), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        for rank in ranks:
            out, err = rank.communicate(timeout=120)
            assert rank.returncode == 0, err
            assert json.loads(out) == {}
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()

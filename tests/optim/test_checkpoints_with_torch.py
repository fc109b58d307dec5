"""Checkpoints: torch's continued by ours and ours by torch's, older ones, copies in mid-training."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

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
# what groups gained after the optimizer was first published, in the order of torch's __setstate__
NEWER_KEYS = {
    "SGD": ["nesterov", "maximize", "foreach", "differentiable", "fused"],
    "RMSprop": ["momentum", "centered", "foreach", "maximize", "differentiable", "capturable", "fused"],
    "Adam": [
        *("amsgrad", "maximize", "foreach", "capturable", "differentiable"),
        *("decoupled_weight_decay", "fused"),
    ],
}
NEWER_KEYS["AdamW"] = NEWER_KEYS["Adam"]
OUR_OWN_KEYS = {"fused", "replicas"}
TOLERANCES: dict[torch.dtype, Any] = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
    torch.float32: {"rtol": 2e-5, "atol": 2e-6},
}

each_optimizer = pytest.mark.parametrize("name", OPTIONS)


def of_ours(name, params, mode="default", **options):
    return getattr(ours, name)(params, **{**OPTIONS[name], **MODES[mode], **options})


def of_torch(name, params, mode="default", **options):
    chosen = {"foreach": False} if name == "RMSprop" and mode == "fused" else MODES[mode]
    return getattr(torch.optim, name)(params, **{**OPTIONS[name], **chosen, **options})


def new_net(dtype=torch.float64):
    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)).to(dtype)
    generator = torch.Generator().manual_seed(0)
    for param in net.parameters():
        param.data.copy_(torch.randn(param.shape, generator=generator, dtype=torch.float64) / 2)
    return net


def train(net, optimizer, batches):
    """Cross-entropy of the numbered batches, so that a run can be cut in two; labels from a noisy teacher."""
    for t in batches:
        generator = torch.Generator().manual_seed(t)
        inputs = torch.randn(8, 6, generator=generator, dtype=torch.float64)
        labels = (inputs[:, :3] + 0.3 * torch.randn(8, 3, generator=generator, dtype=torch.float64)).argmax(1)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs.to(net[0].weight.dtype)), labels).backward()
        optimizer.step()
    return net


def assert_same_nets(a, b, dtype=torch.float64):
    torch.testing.assert_close(dict(a.named_parameters()), dict(b.named_parameters()), **TOLERANCES[dtype])


def assert_same_groups(mine, reference):
    for group, wanted in zip(mine, reference, strict=True):
        assert set(group) - set(wanted) <= OUR_OWN_KEYS
        for key in set(wanted) - {"params", "fused"}:
            assert group[key] == wanted[key], key
        assert bool(group["fused"]) == bool(wanted.get("fused"))  # torch has None here and False there


def saved_and_loaded(state_dict):
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_every_public_optimizer_has_an_entry():
    assert set(OPTIONS) == set(NEWER_KEYS) == set(OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("after", MODES)
@pytest.mark.parametrize("before", MODES)
@pytest.mark.parametrize(
    ("first", "second"),
    [(of_torch, of_ours), (of_ours, of_torch), (of_ours, of_ours)],
    ids=["from torch", "to torch", "own"],
)
def test_a_training_is_continued_from_a_checkpoint(name, first, second, before, after, dtype):
    halfway = new_net(dtype)
    saver = first(name, halfway.parameters(), before)
    train(halfway, saver, range(6))
    net = new_net(dtype)
    loader = second(name, net.parameters(), after)
    checkpoint = saved_and_loaded({"net": halfway.state_dict(), "optimizer": saver.state_dict()})
    net.load_state_dict(checkpoint["net"])
    loader.load_state_dict(checkpoint["optimizer"])
    train(net, loader, range(6, 12))
    uninterrupted = new_net(dtype)
    train(uninterrupted, of_torch(name, uninterrupted.parameters()), range(12))
    assert_same_nets(net, uninterrupted, dtype)
    assert {key: loader.param_groups[0][key] for key in OPTIONS[name]} == OPTIONS[name]
    saved, loaded = (o.param_groups[0] for o in (saver, loader))
    assert all(loaded[key] == saved[key] for key in ("foreach", "fused") if key in saved)  # as torch: the saver's


@each_optimizer
@pytest.mark.parametrize("plain_step", [False, True], ids=["", "plain step"])
@pytest.mark.parametrize("lacking", ["none", "one each", "all"])
def test_older_checkpoints(name, lacking, plain_step):
    """Of before a key was there, or of when the count was a plain int."""
    net = new_net()
    options = {"RMSprop": {"momentum": 0, "centered": False}, "SGD": {}}.get(name, {"amsgrad": False})
    saver = of_torch(name, net.parameters(), **options)
    train(net, saver, range(4))
    keys = NEWER_KEYS[name]
    removals: dict[str, list[list[str]]] = {"none": [[]], "one each": [[key] for key in keys], "all": [keys]}
    for removed in removals[lacking]:
        old = copy.deepcopy(saver.state_dict())
        for key in removed:
            old["param_groups"][0].pop(key, None)
        for entry in old["state"].values():
            if plain_step and "step" in entry:
                entry["step"] = int(entry["step"])
        nets, groups, states = [], [], []
        for make in (of_ours, of_torch):
            nets.append(copy.deepcopy(net))
            optimizer = make(name, nets[-1].parameters(), **options)
            optimizer.load_state_dict(copy.deepcopy(old))
            groups.append(optimizer.param_groups)
            train(nets[-1], optimizer, range(4, 8))
            states.append(optimizer.state_dict()["state"])
        assert_same_nets(*nets)
        assert_same_groups(*groups)
        torch.testing.assert_close(*states, **TOLERANCES[torch.float64])


@pytest.mark.parametrize("mode", MODES)
def test_older_sgd_saved_none_before_the_first_momentum(mode):
    nets = []
    for make in (of_ours, of_torch):
        net = new_net()
        optimizer = make("SGD", net.parameters(), mode)
        old = optimizer.state_dict()
        old["state"] = {i: {"momentum_buffer": None} for i in range(4)}
        optimizer.load_state_dict(old)
        nets.append(train(net, optimizer, range(4)))
    assert_same_nets(*nets)


@each_optimizer
def test_checkpoint_of_another_shape_is_refused_with_torchs_message(name):
    optimizer = of_ours(name, new_net().parameters())
    state_dict = optimizer.state_dict()
    fewer = {**state_dict, "param_groups": [{**state_dict["param_groups"][0], "params": [0, 1]}]}
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        optimizer.load_state_dict(fewer)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({**state_dict, "param_groups": []})


@each_optimizer
def test_state_of_no_parameter_is_loaded_as_it_is(name):
    loaded = []
    for make in (of_ours, of_torch):
        optimizer = make(name, new_net().parameters())
        optimizer.load_state_dict({**optimizer.state_dict(), "state": {"note": 3, "more": {"x": [1]}}})
        loaded.append(optimizer.state_dict()["state"])
    assert loaded[0] == loaded[1] == {"note": 3, "more": {"x": [1]}}


@each_optimizer
def test_state_takes_the_dtype_of_the_parameters_that_load_it(name):
    nets, states = (new_net(), new_net(torch.float32)), []
    saver = of_torch(name, nets[0].parameters())
    train(nets[0], saver, range(3))
    for make in (of_ours, of_torch):
        loader = make(name, nets[1].parameters())
        loader.load_state_dict(saver.state_dict())
        states.append(loader.state_dict()["state"])
    torch.testing.assert_close(*states, rtol=0, atol=0)


@each_optimizer
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copy_made_in_mid_training_resumes_independently(name, mode, copied):
    net = new_net()
    optimizer = of_ours(name, net.parameters(), mode)
    train(net, optimizer, range(5))
    halfway = copy.deepcopy(net)
    twin_net, twin = copied([net, optimizer])  # together, so that they still belong together
    assert type(twin) is type(optimizer)
    assert_same_groups(twin.param_groups, optimizer.param_groups)
    train(twin_net, twin, range(5, 9))
    assert_same_nets(net, halfway)
    train(net, optimizer, range(5, 9))
    reference = new_net()
    train(reference, of_torch(name, reference.parameters()), range(9))
    assert_same_nets(net, reference)
    assert_same_nets(twin_net, reference)


@each_optimizer
@pytest.mark.parametrize("mode", MODES)
def test_distributed_checkpoints_name_the_state_by_parameter(name, mode):
    """`get_optimizer_state_dict` makes state where there is none by a step of its own, at a rate of 0."""
    nets, dicts = (new_net(), new_net()), []
    pair = [make(name, net.parameters(), mode) for make, net in zip((of_ours, of_torch), nets, strict=True)]
    for net, optimizer in zip(nets, pair, strict=True):
        dicts.append(get_optimizer_state_dict(net, optimizer))
        assert_same_nets(net, new_net())
    assert dicts[0]["state"].keys() == dicts[1]["state"].keys()
    for net, optimizer in zip(nets, pair, strict=True):
        train(net, optimizer, range(3))
    mine, theirs = new_net(), new_net()
    for net, source, make in ((mine, 1, of_ours), (theirs, 0, of_torch)):
        net.load_state_dict(nets[source].state_dict())
        optimizer = make(name, net.parameters(), mode)
        set_optimizer_state_dict(net, optimizer, get_optimizer_state_dict(nets[source], pair[source]))
        train(net, optimizer, range(3, 6))
    assert_same_nets(mine, theirs)

"""Weights of a compiled net are saved and loaded by the names that the net itself gives them."""

import copy

import pytest
import torch
from torch import nn

from .small import Y, loader, module, trainer


def compiled(net):
    return torch.compile(net, backend="eager")


def made(*, is_compiled, inner=False):
    found = module()
    if inner:  # compiled by the net itself, which has these names then
        found.net[0] = compiled(found.net[0])
    if is_compiled:
        found.net = compiled(found.net)
    return found


@pytest.mark.parametrize("inner", [False, True])
def test_the_names_are_those_of_the_net(inner):
    plain = made(is_compiled=False, inner=inner)
    expected = [f"net.{name}" for name in plain.net.state_dict()]
    assert [name for name in plain.state_dict() if name.startswith("net.")] == expected
    assert [name for name in made(is_compiled=True, inner=inner).state_dict() if name.startswith("net.")] == expected


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("loads", [False, True])
def test_weights_go_both_ways(saved, loads, inner):
    one, other = made(is_compiled=saved, inner=inner), made(is_compiled=loads, inner=inner)
    with torch.no_grad():
        for p in one.parameters():
            p.add_(1)
    state = one.state_dict()
    before = list(state)
    other.load_state_dict(state)
    assert list(state) == before
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("loads", [False, True])
def test_a_checkpoint_with_the_wrappers_name_is_read(loads):
    state = {name.replace("net.", "net._orig_mod."): value for name, value in module().state_dict().items()}
    made(is_compiled=loads).load_state_dict(state)


def test_a_missing_weight_is_still_refused():
    state = module().state_dict()
    del state["net.0.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*net\._orig_mod\.0\.bias"):
        made(is_compiled=True).load_state_dict(state)


def test_under_another_module_and_in_a_copy():
    outer = nn.ModuleDict({"module": copy.deepcopy(made(is_compiled=True))})
    assert {name for name in outer.state_dict() if ".net." in name} == {
        f"module.net.{name}" for name in module().net.state_dict()
    }
    outer.load_state_dict({f"module.{name}": value for name, value in module().state_dict().items()})


def test_a_compiled_training_resumes_in_one_that_is_not(tmp_path):
    straight, first = (
        trainer(tmp_path, max_epochs=2),
        trainer(tmp_path, max_epochs=1),
    )
    whole, begun, continued = made(is_compiled=False), made(is_compiled=True), made(is_compiled=False)
    straight.fit(whole, loader(Y), loader(Y))
    first.fit(begun, loader(Y), loader(Y))
    first.save_checkpoint(tmp_path / "x.ckpt")
    trainer(tmp_path, max_epochs=2).fit(
        continued, loader(Y), loader(Y), ckpt_path=tmp_path / "x.ckpt", weights_only=True
    )
    assert all(torch.allclose(a, b) for a, b in zip(whole.parameters(), continued.parameters(), strict=True))

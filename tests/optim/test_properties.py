"""Whole trainings drawn at random: shapes, dtypes, memory, groups, gradients that are not there, checkpoints, flags.

The reference is torch's for-loop on contiguous float64 copies.
"""

import copy
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from bakeoff import optim as ours

from .public import OPTIMIZERS

drawn = settings(deadline=None, database=None, derandomize=True, max_examples=250)

FLAGS = [{}, {"foreach": False}, {"foreach": True}, {"fused": True}]
# relative and absolute, for 6 steps of at most 0.1 from weights of size 1: some roundings a step
TOLERANCES = {
    torch.float64: (1e-10, 1e-10),
    torch.float32: (2e-5, 2e-5),
    torch.float16: (8e-3, 8e-3),
    torch.bfloat16: (6e-2, 6e-2),
}
common = {
    "lr": st.sampled_from([0.0, 0.01, 0.1]),
    "weight_decay": st.sampled_from([0.0, 0.1]),
    "maximize": st.booleans(),
}
adam = {
    **common,
    "betas": st.sampled_from([(0.9, 0.99), (0.5, 0.9), (0.0, 0.5)]),
    "eps": st.sampled_from([0.1, 0.3]),  # in the range of the gradients, for the sake of half precision
    "amsgrad": st.booleans(),
}
OPTIONS = {
    "SGD": st.one_of(
        st.fixed_dictionaries({**common, "momentum": st.just(0.0)}),
        st.fixed_dictionaries({**common, "momentum": st.just(0.9), "dampening": st.sampled_from([0.0, 0.3])}),
        st.fixed_dictionaries({**common, "momentum": st.just(0.9), "nesterov": st.just(True)}),
    ),
    "RMSprop": st.fixed_dictionaries(
        {
            **common,
            "alpha": st.sampled_from([0.9, 0.5]),
            "eps": st.sampled_from([0.1, 0.3]),
            "momentum": st.sampled_from([0.0, 0.5]),
            "centered": st.booleans(),
        }
    ),
    "Adam": st.fixed_dictionaries(adam),
    "AdamW": st.fixed_dictionaries(adam),
}

each_optimizer = pytest.mark.parametrize("name", OPTIONS)


def transposed(tensor):
    return tensor.mT.contiguous().mT if tensor.dim() > 1 else tensor


def every_second(tensor):
    whole = torch.full((*tensor.shape, 2), 7.0, dtype=tensor.dtype)
    whole[..., 1] = tensor
    return whole[..., 1]


def off_the_start(tensor):
    whole = torch.full((tensor.numel() + 1,), 7.0, dtype=tensor.dtype)
    whole[1:] = tensor.reshape(-1)
    return whole[1:].view(tensor.shape)


class Weight(NamedTuple):
    """One parameter: how it is stored, and how its gradients are."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: object
    layout_of_grad: object


class Plan(NamedTuple):
    """One training."""

    groups: list[tuple[dict, list[Weight]]]
    missing: list[set[int]]  # for each step, the parameters without a gradient
    flags: dict
    checkpoint_at: int  # before this step
    checkpoint: str
    seed: int


layouts = st.sampled_from([torch.Tensor.contiguous, transposed, every_second, off_the_start])
shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple) | st.integers(1, 70).map(lambda n: (n,))


@st.composite
def plans(draw, name):
    weights = st.builds(Weight, shapes, st.sampled_from(list(TOLERANCES)), layouts, layouts)
    groups = draw(st.lists(st.tuples(OPTIONS[name], st.lists(weights, min_size=1, max_size=4)), min_size=1, max_size=3))
    count = sum(len(members) for _, members in groups)
    missing = draw(st.lists(st.sets(st.integers(0, count - 1)), min_size=1, max_size=6))
    return Plan(
        groups,
        missing,
        draw(st.sampled_from(FLAGS)),
        draw(st.integers(0, len(missing) - 1)),
        draw(st.sampled_from(["none", "own", "through torch"])),
        draw(st.integers(0, 2**31)),
    )


def new(package, name, plan, params, flags):
    groups, left = [], iter(params)
    for options, members in plan.groups:
        groups.append({"params": [next(left) for _ in members], **options})
    return getattr(package, name)(groups, **flags)


def with_flags(optimizer, flags):
    """A checkpoint brings the flags of who saved it."""
    for group in optimizer.param_groups:
        group.update({"foreach": None, "fused": None, **flags})
    return optimizer


def continued(optimizer, name, plan, flags):
    """The optimizer, or a fresh one over the same parameters that loads its checkpoint and has taken this step."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    if plan.checkpoint == "own":
        fresh = new(ours, name, plan, params, flags)
        fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        fresh.step()
        return fresh
    copies = [Parameter(p.detach().clone(memory_format=torch.contiguous_format)) for p in params]
    for c, p in zip(copies, params, strict=True):
        c.grad = None if p.grad is None else p.grad.contiguous()
    theirs = new(torch.optim, name, plan, copies, {"foreach": False})
    theirs.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    with_flags(theirs, {"foreach": False}).step()
    fresh = new(ours, name, plan, params, flags)
    fresh.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for c, p in zip(copies, params, strict=True):
        p.data.copy_(c)
    return with_flags(fresh, flags)


def check(name, plan):
    members = [member for _, members in plan.groups for member in members]
    generator = torch.Generator().manual_seed(plan.seed)

    def random(member):
        return torch.randn(member.shape, generator=generator, dtype=torch.float64).to(member.dtype)

    starts = [random(member) for member in members]
    params = [Parameter(m.layout(start.clone())) for m, start in zip(members, starts, strict=True)]
    copies = [Parameter(start.double()) for start in starts]
    around = [torch.empty(0, dtype=p.dtype).set_(p.untyped_storage()) for p in params]
    mine = new(ours, name, plan, params, plan.flags)
    reference = new(torch.optim, name, plan, copies, {"foreach": False})
    for t, missing in enumerate(plan.missing):
        for i, (member, param, copied) in enumerate(zip(members, params, copies, strict=True)):
            grad = random(member)
            param.grad = None if i in missing else member.layout_of_grad(grad.clone())
            copied.grad = None if i in missing else grad.double()
        reference.step()
        if t == plan.checkpoint_at and plan.checkpoint != "none":
            mine = continued(mine, name, plan, plan.flags)
        else:
            mine.step()
    for member, param, copied, whole in zip(members, params, copies, around, strict=True):
        rtol, atol = TOLERANCES[member.dtype]
        torch.testing.assert_close(param.detach().double(), copied.detach(), rtol=rtol, atol=atol)
        assert param.dtype == member.dtype
        assert (whole == 7).sum() == whole.numel() - param.numel()
        state, expected = mine.state.get(param, {}), reference.state.get(copied, {})
        assert {k for k, v in state.items() if v is not None} == {k for k, v in expected.items() if v is not None}
        if rtol < 1e-3:
            state = {key: value.to(expected[key].dtype) for key, value in state.items() if value is not None}
            expected = {key: value for key, value in expected.items() if value is not None}
            torch.testing.assert_close(state, expected, rtol=rtol, atol=atol)


def test_every_public_optimizer_has_options():
    assert set(OPTIONS) == set(OPTIMIZERS)


@each_optimizer
@drawn
@given(data=st.data())
def test_any_training_matches_torchs_for_loop_in_float64(name, data):
    check(name, data.draw(plans(name)))

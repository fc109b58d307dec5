"""Several optimizers as one make, to the bit, the steps of several optimizers in a plain loop."""

import copy
import io
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bakeoff.module import named_parameters
from bakeoff.module.optimizer_mode import OptimizerMode
from bakeoff.module.split import SplitOptimizer, split
from bakeoff.optim import SGD, AdamW

from .schedule_free import ScheduleFreeSGD
from .small import X, Y

MUON = partial(torch.optim.Muon, lr=0.02, adjust_lr_fn="match_rms_adamw")
ADAMW = partial(AdamW, lr=0.01)
RULES: Any = {"muon": {"kind": "hidden", "ndim": 2}, "adamw": {"rest": True}}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 7))


def backward(model):
    model.zero_grad()
    loss = cross_entropy(model(X), Y)
    loss.backward()
    return loss


def by_split(model, **optimizers):
    return split(named_parameters(model), rules=RULES, **{"muon": MUON, "adamw": ADAMW, **optimizers})


def two_optimizers(model):
    """Chosen by hand: the matrices of all layers but the last, and the rest."""
    hidden = [model[0].weight, model[3].weight]
    rest = [model[0].bias, *model[1].parameters(), model[3].bias, *model[5].parameters()]
    return MUON(hidden), ADAMW(rest)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_muon_and_adamw_are_two_optimizers_in_a_plain_loop():
    one, other = net(), net()
    optimizer, plain = by_split(one), two_optimizers(other)
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: 0.9**step) for o in (optimizer, *plain)]
    for _ in range(10):
        backward(one)
        optimizer.step()
        backward(other)
        for each in plain:
            each.step()
        for schedule in schedules:
            schedule.step()
    assert same(one, other)
    assert not same(one, net())
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02 * 0.9**10, 0.01 * 0.9**10])
    assert [group["name"] for group in optimizer.param_groups] == ["muon", "adamw"]


def test_the_closure_is_called_once():
    model, losses = net(), []

    def closure():
        losses.append(backward(model).item())
        return losses[-1]

    assert by_split(model).step(closure) == cross_entropy(net()(X), Y).item()
    assert len(losses) == 1


def test_its_state_resumes_to_the_bit():
    whole, first = net(), net()
    one, other = by_split(whole), by_split(first)
    for _ in range(6):
        backward(whole)
        one.step()
    for _ in range(3):
        backward(first)
        other.step()
    file = io.BytesIO()
    torch.save((first.state_dict(), other.state_dict()), file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = net()
    again = by_split(resumed)
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    for group in again.param_groups:
        group["lr"] *= 1  # the dictionaries that the optimizers read
    assert all(a is b for a, b in zip(again.param_groups, groups_of(again), strict=True))
    for _ in range(3):
        backward(resumed)
        again.step()
    assert same(resumed, whole)


def groups_of(optimizer):
    return [group for each in optimizer.optimizers.values() for group in each.param_groups]


def test_the_state_is_that_of_all():
    model = net()
    optimizer = by_split(model)
    assert len(optimizer.state) == 0
    backward(model)
    optimizer.step()
    assert set(optimizer.state) == set(model.parameters())
    assert optimizer.state[model[0].weight] is optimizer.optimizers["muon"].state[model[0].weight]
    optimizer.state[model[0].bias] = {"step": 3}
    assert optimizer.optimizers["adamw"].state[model[0].bias] == {"step": 3}
    del optimizer.state[model[0].bias]
    assert model[0].bias not in optimizer.state
    assert model[0].weight in optimizer.state


def test_a_copy_has_optimizers_of_its_own():
    model = net()
    copied, optimizer = copy.deepcopy((model, by_split(model)))
    backward(copied)
    optimizer.step()
    assert same(model, net())
    assert not same(copied, model)


def test_states_of_other_optimizers_and_new_groups_are_refused():
    model = net()
    optimizer = by_split(model)
    with pytest.raises(ValueError, match=r"^the state is that of state, param_groups; these are muon, adamw$"):
        optimizer.load_state_dict(SGD(model.parameters(), lr=0.1).state_dict())
    with pytest.raises(ValueError, match=r"^add the group to one of the optimizers muon, adamw"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    with pytest.raises(ValueError, match=r"^a and b share a parameter"):
        SplitOptimizer({"a": SGD(model.parameters(), lr=0.1), "b": SGD(model[0].parameters(), lr=0.1)})


def test_weights_to_train_and_weights_to_use():
    """Where one of the optimizers has two sets of weights; of the others `train` and `eval` change nothing."""
    assert not OptimizerMode(by_split(net())).switches
    one, other = net(), net()
    optimizer = by_split(one, adamw=partial(ScheduleFreeSGD, lr=0.1))
    muon, rest = MUON([other[0].weight, other[3].weight]), two_optimizers(other)[1].param_groups[0]["params"]
    free = ScheduleFreeSGD(rest, lr=0.1)
    for _ in range(5):
        for model, optimizers in ((one, [optimizer]), (other, [muon, free])):
            optimizers[-1].train()
            backward(model)
            for each in optimizers:
                each.step()
    assert same(one, other)
    optimizer.eval()
    assert not same(one, other)
    free.eval()
    assert same(one, other)


@pytest.mark.parametrize(
    ("rules", "optimizers", "message"),
    [
        ({}, {}, r"^optimizer.rules are missing; give \+optimizer.rules.a.rest=true"),
        (3, {}, "^optimizer.rules must be a name and a rule for each optimizer, got 3$"),
        ({"a": {"rest": True}}, {}, r"^optimizer.rules.a has no optimizer; give \+optimizer.a._target_="),
        ({"a": {"rest": True}}, {"a": ADAMW, "b": MUON}, "^optimizer.b has no parameters; give"),
        ({"a": {"rest": True, "lr": 1}}, {"a": ADAMW}, "^nothing reads optimizer.rules.a.lr; give optimizer.a.lr="),
        ({"a": {"rest": True}}, {"a": 3}, "^optimizer.a must be a factory, got int; give optimizer.a._partial_=true"),
        ({"a": {"kind": "bias"}}, {"a": ADAMW}, "^optimizer.rules: 0.weight .* is in no group"),
        (
            {"a": {"kind": "embedding"}, "b": {"rest": True}},
            {"a": ADAMW, "b": ADAMW},
            r"^optimizer.rules.a: this net has no parameter for a \(kind: embedding\); choose another optimizer",
        ),
    ],
)
def test_rules_and_optimizers_that_do_not_fit(rules, optimizers, message):
    with pytest.raises(ValueError, match=message):
        split(named_parameters(net()), rules=rules, **optimizers)


@pytest.mark.parametrize("given", [nn.Module.named_parameters, nn.Module.parameters])
def test_pairs_without_a_kind_are_refused(given):
    pairs: Any = given(net())
    with pytest.raises(ValueError, match=r"^optimizer: .* to be called with bakeoff.module.named_parameters\(net\)"):
        split(pairs, rules=RULES, muon=MUON, adamw=ADAMW)

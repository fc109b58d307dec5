"""Each parameter is in one group, which has the options of its rule; a hand-written loop makes the same steps."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from bakeoff.module import build_optimizer, named_parameters
from bakeoff.module.param_groups import groups, select
from bakeoff.optim import SGD, Adam


class Language(nn.Module):
    """A small language model whose output layer has the weight of the embedding."""

    def __init__(self, tied=True):
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.body = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GRU(6, 4))
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(4, 11, bias=False)
        if tied:
            self.head.weight = self.embed.weight


class Centres(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres, self.fixed = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(1), requires_grad=False)


KINDS = {
    "scale": "other",
    "embed.weight": "embedding",
    "body.0.weight": "hidden",
    "body.0.bias": "bias",
    "body.1.weight": "norm",
    "body.1.bias": "norm",
    "body.2.weight_ih_l0": "hidden",
    "body.2.weight_hh_l0": "hidden",
    "body.2.bias_ih_l0": "bias",
    "body.2.bias_hh_l0": "bias",
}


def kinds(net, loss=None):
    return {pair[0]: pair.kind for pair in named_parameters(net, loss)}


def test_kinds_of_a_net_whose_output_is_tied_to_its_embedding():
    net = Language()
    assert kinds(net) == KINDS
    assert [(name, id(p)) for name, p in named_parameters(net)] == [(n, id(p)) for n, p in net.named_parameters()]


def test_the_last_matrix_is_the_output():
    assert kinds(Language(tied=False)) == {**KINDS, "head.weight": "output"}
    assert kinds(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))) == {
        "0.weight": "hidden", "0.bias": "bias", "1.weight": "norm", "1.bias": "norm",
        "2.weight": "output", "2.bias": "bias",
    }  # fmt: skip


def test_a_compiled_net_has_the_names_of_the_net():
    assert kinds(torch.compile(Language())) == KINDS


def test_the_parameters_of_a_loss_are_never_hidden():
    assert kinds(nn.Linear(2, 2), Centres()) == {"weight": "output", "bias": "bias", "loss.centres": "other"}


class Attention(nn.Module):
    """Has a table of positions, and a weight that is made of a direction and lengths."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(4, 8))
        self.attention = nn.MultiheadAttention(8, 2)
        self.scaled = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.recurrent = nn.GRU(8, 8)
        self.head = nn.Linear(8, 3)


def test_matrices_that_are_no_weights_of_a_layer_are_not_hidden():
    found = kinds(Attention())
    assert {name for name, kind in found.items() if kind == "hidden"} == {
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
    }
    assert {name for name, kind in found.items() if kind == "other"} == {
        "positions",
        "scaled.parametrizations.weight.original0",
        "scaled.parametrizations.weight.original1",
    }
    assert found["head.weight"] == "output"


def test_rules_choose_by_kind_name_and_shape():
    rules: Any = {
        "matrices": {"kind": "hidden", "ndim": 2, "names": ["body.0.*", "scale"]},
        "recurrent": {"names": "body.2.*"},
        "vectors": {"ndim": [1], "names": "body.[01].*"},
        "others": {"rest": True},
    }
    chosen = select(rules, named_parameters(Language()))
    assert {rule: [name for name, _ in pairs] for rule, pairs in chosen.items()} == {
        "matrices": ["body.0.weight"],
        "recurrent": [name for name in KINDS if name.startswith("body.2")],
        "vectors": ["body.0.bias", "body.1.weight", "body.1.bias"],
        "others": ["scale", "embed.weight"],
    }


NO_DECAY: Any = {"no_decay": {"kind": ["bias", "norm", "embedding"], "weight_decay": 0.0}, "decay": {"rest": True}}


def test_a_kind_that_a_net_lacks_makes_no_group():
    made = groups(NO_DECAY, named_parameters(nn.Linear(2, 3, bias=False)))
    assert [(group["name"], len(group["params"])) for group in made] == [("decay", 1)]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"a": {"kind": "norm"}}, r"^param_groups: scale \(other, shape \(1,\)\) is in no group; give one"),
        (
            {"a": {"kind": "norm"}, "b": {"names": "body.1.*"}, "c": {"rest": True}},
            r"^param_groups: body.1.weight \(norm, shape \(6,\)\) is in the groups a and b; change",
        ),
        (
            {"a": {"names": "boddy.*"}, "c": {"rest": True}},
            "^param_groups.a.names: no parameter is called boddy.*; there are scale, embed.weight, .* and 4 more$",
        ),
        ({"a": {"kind": "norms"}}, r"^param_groups.a.kind must be of bias, .*, got norms$"),
        ({"a": {"lr": 0.1}}, "^param_groups.a says of no parameter that it is in it; give it kind, names, ndim or"),
        ({"a": 3}, "^param_groups.a must be a rule, got 3; give"),
        ({"a": {"rest": True}, "b": {"rest": True}}, "^param_groups: a and b have rest: true; only one can"),
        ({"a": {"rest": False}}, "^param_groups.a.rest must be true"),
        ({"a": {"rest": True, "kind": "norm"}}, "^param_groups.a.rest must be true, and stand without kind"),
        ({"a": {"ndim": "two"}}, "^param_groups.a.ndim must be a number of axes >= 0, got two$"),
        ({"a": {"names": [1]}}, "^param_groups.a.names must be patterns such as 'head.*', got 1$"),
    ],
)
def test_rules_that_cannot_be_followed(rules, message):
    with pytest.raises(ValueError, match=message):
        select(rules, named_parameters(Language()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lrr": 0.1}, "^nothing reads param_groups.a.lrr; Adam has .*lr, "),
        ({"name": "b"}, "^nothing reads param_groups.a.name"),
        ({"lr": -1.0}, "^param_groups.a: .*lr must be >= 0, got -1.0"),
        ({"lr": "abc"}, "^param_groups.a: "),
        ({"betas": [0.9]}, "^param_groups.a: betas must be two values"),
    ],
)
def test_options_that_the_optimizer_lacks_or_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build_optimizer(partial(Adam, lr=0.1), nn.Linear(2, 2), None, {"a": {"rest": True, **options}})


def test_torchs_own_optimizers_check_the_options_of_a_group_too():
    with pytest.raises(ValueError, match=r"^param_groups.a: Invalid learning rate: -1"):
        build_optimizer(partial(torch.optim.SGD, lr=0.1), nn.Linear(2, 2), None, {"a": {"rest": True, "lr": -1}})


def of_names(named_parameters, *, lr):
    names, parameters = zip(*named_parameters, strict=True)
    assert names == ("weight", "bias", "loss.centres")
    return torch.optim.SGD(parameters, lr)


def test_a_factory_that_asks_for_names_gets_them():
    net, loss = nn.Linear(2, 2), Centres()
    optimizer = build_optimizer(partial(of_names, lr=0.5), net, loss)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [*map(id, net.parameters()), id(loss.centres)]
    with pytest.raises(ValueError, match=r"^param_groups: of_names makes groups of named parameters itself; give"):
        build_optimizer(partial(of_names, lr=0.5), net, loss, NO_DECAY)


def test_no_decay_by_hand():
    """w <- w - lr (g + decay w) for the matrix, b <- b - lr g for the bias."""
    net = nn.Linear(3, 2)
    weight, bias = net.weight.detach().clone(), net.bias.detach().clone()
    optimizer = build_optimizer(partial(SGD, lr=0.5, weight_decay=0.25), net, None, NO_DECAY)
    for step in range(3):
        net.weight.grad, net.bias.grad = torch.full((2, 3), step + 1.0), torch.full((2,), step - 1.0)
        optimizer.step()
        weight = weight - 0.5 * (step + 1.0 + 0.25 * weight)
        bias = bias - 0.5 * (step - 1.0)
    torch.testing.assert_close(net.weight.detach(), weight)
    torch.testing.assert_close(net.bias.detach(), bias)

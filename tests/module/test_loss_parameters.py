"""What a loss holds is registered in the module: it is trained, moved and saved; what belongs to the net is not."""

import copy
import threading
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.losses import MSE
from bakeoff.module import SupervisedModule, registered
from bakeoff.module.loss_parameters import copied
from bakeoff.module.weight_average import WeightAverage
from bakeoff.optim import SGD

from .small import REAL, loader, trainer

NET = nn.Linear(5, 1)


class Uncertainty(nn.Module):
    """exp(-2 s) e^2 + 2 s (Kendall et al. 2018)."""

    def __init__(self):
        super().__init__()
        self.log_s = nn.Parameter(torch.zeros(1))

    def forward(self, output, target):
        return ((output - target[:, None]) ** 2 * torch.exp(-2 * self.log_s) + 2 * self.log_s).mean()


class Holds:
    """A plain object: its modules are nobody's until they are registered."""

    def __init__(self, **held):
        self.__dict__.update(held)

    def __call__(self, output, target):
        return F.mse_loss(output, target)


def names(loss, net=NET):
    found = registered(loss, net)
    return sorted(name for name, _ in found.named_parameters()) if isinstance(found, nn.Module) else None


def closure(layer):
    return lambda output, target: F.mse_loss(layer(output), target)


def with_layer(layer, output, target):
    return F.mse_loss(layer(output), target)


def default(layer):
    def loss(output, target, *, layer=layer):
        return F.mse_loss(layer(output), target) if isinstance(layer, nn.Module) else layer(output, target)

    return loss


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(F.mse_loss, id="function"),
        pytest.param(MSE(), id="of ours"),
        pytest.param(Holds(), id="empty"),
        pytest.param(Holds(ce=nn.CrossEntropyLoss(), n=3), id="without tensors"),
        pytest.param(Holds(net=NET), id="the net"),
        pytest.param(closure(NET), id="the net in a closure"),
        pytest.param(partial(with_layer, NET), id="the net in a partial"),
    ],
)
def test_a_loss_without_tensors_of_its_own_is_left_as_it_is(loss):
    assert registered(loss, NET) is loss


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Uncertainty(), ["log_s"]),
        (Holds(layer=nn.Linear(1, 1)), ["held_layer.bias", "held_layer.weight"]),
        (Holds(scale=nn.Parameter(torch.ones(1))), ["held_scale"]),
        (Holds(terms=[Holds(inner=Uncertainty())]), ["held_terms_0_inner.log_s"]),
        (Holds(terms={"a b.c": Uncertainty()}), ["held_terms_a b_c.log_s"]),
        (Holds(layer=nn.Linear(1, 1)).__call__, ["held_self_layer.bias", "held_self_layer.weight"]),
        (closure(nn.Linear(1, 1)), ["held_layer.bias", "held_layer.weight"]),
        (partial(with_layer, nn.Linear(1, 1)), ["held_args_0.bias", "held_args_0.weight"]),
        (default(nn.Linear(1, 1)), ["held_layer.bias", "held_layer.weight"]),
    ],
    ids=["module", "attribute", "parameter", "list", "dict", "method", "closure", "partial", "default"],
)
def test_what_a_loss_holds_is_found(loss, expected):
    assert names(loss) == expected


def test_an_object_that_holds_itself_ends():
    loss = Holds()
    vars(loss)["itself"] = loss
    assert registered(loss, NET) is loss


def test_a_loss_trains_as_in_plain_torch(tmp_path):
    torch.manual_seed(0)
    net, loss = nn.Linear(5, 1), Uncertainty()
    twin, twin_loss = nn.Linear(5, 1), Uncertainty()
    twin.load_state_dict(net.state_dict())
    data = loader(REAL, batch_size=30)
    optimizer = torch.optim.SGD([*twin.parameters(), *twin_loss.parameters()], lr=0.01)
    for _ in range(2):
        for x, y in data:
            optimizer.zero_grad()
            twin_loss(twin(x), y).backward()
            nn.utils.clip_grad_norm_([*twin.parameters(), *twin_loss.parameters()], 0.5)
            optimizer.step()
    module = SupervisedModule(net, loss, partial(SGD, lr=0.01), n_out=1, task="regression")
    trainer(tmp_path, gradient_clip_val=0.5).fit(module, data, data)
    assert loss.log_s.item() != 0
    assert loss.log_s.item() == pytest.approx(twin_loss.log_s.item(), rel=1e-5)
    assert torch.allclose(net.weight, twin.weight, rtol=1e-5)
    assert "loss.log_s" in module.state_dict()


def test_a_plain_object_trains_what_it_holds(tmp_path):
    layer = nn.Linear(1, 1)
    before = layer.weight.clone()
    module = SupervisedModule(nn.Linear(5, 1), closure(layer), partial(SGD, lr=0.01), n_out=1, task="regression")
    trainer(
        tmp_path,
    ).fit(module, loader(REAL[:, None]), loader(REAL[:, None]))
    assert not torch.equal(layer.weight, before)
    assert torch.equal(module.state_dict()["loss.held_layer.weight"], layer.weight)


def normed(norm):
    """Imports a module, as such functions do, and calls itself."""
    import math

    def loss(output, target, again=1):
        return loss(output, target, 0) if again else F.mse_loss(norm(output), target) * math.cos(0)

    vars(loss)["task"] = "regression"
    return loss


def of_function(loss, output, target):
    return loss(output, target)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(normed, id="closure"),
        pytest.param(lambda norm: partial(normed(norm), again=1), id="partial of a closure"),
        pytest.param(lambda norm: partial(with_layer, norm), id="partial of a function"),
        pytest.param(lambda norm: partial(of_function, normed(norm)), id="closure in a partial"),
        pytest.param(default, id="default"),
        pytest.param(lambda norm: Calls(normed(norm)), id="closure in an object"),
        pytest.param(lambda norm: Calls([Calls(normed(norm))]), id="closure in objects in a list"),
        pytest.param(lambda norm: Calls(normed(norm)).__call__, id="closure in a method"),
        pytest.param(lambda norm: default(Calls(normed(norm))), id="closure in a default"),
    ],
)
@pytest.mark.parametrize("copies", [copied, lambda loss: copy.deepcopy(registered(loss, NET))], ids=["plain", "module"])
def test_a_copy_leaves_what_a_loss_holds_alone(made, copies):
    torch.manual_seed(0)
    norm, output, target = nn.BatchNorm1d(1), torch.randn(9, 1), torch.randn(9, 1)
    loss = made(norm)
    twin = copies(loss)
    value = twin(output, target)
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_mean, torch.zeros(1))
    value.backward()
    assert norm.weight.grad is None
    assert torch.equal(loss(output, target), value)
    assert norm.num_batches_tracked == 1
    assert getattr(twin, "task", None) == getattr(loss, "task", None)


class Calls:
    def __init__(self, loss):
        self.loss = loss[0] if isinstance(loss, list) else loss
        self.losses = [self.loss]

    def __call__(self, output, target):
        assert self.loss is self.losses[0]
        return self.loss(output, target)


def test_what_a_copy_holds_is_registered_in_the_copy():
    module: Any = registered(closure(nn.Linear(1, 1)), NET)
    twin = copy.deepcopy(module)
    output, target = torch.randn(9, 1), torch.randn(9, 1)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert twin(output, target) == F.mse_loss(torch.zeros(9, 1), target)
    assert module(output, target) != twin(output, target)


def test_a_copy_of_both_shares_what_both_have():
    net = nn.Linear(1, 1)
    twin, loss = copied((net, partial(of_function, closure(net))))
    with torch.no_grad():
        twin.weight.zero_(), twin.bias.zero_()
    output, target = torch.randn(9, 1), torch.randn(9, 1)
    assert loss(output, target) == F.mse_loss(torch.zeros(9, 1), target)
    assert net.weight.item() != 0


def test_what_cannot_be_copied_is_said():
    with pytest.raises(TypeError, match="lock"):
        copied(closure(threading.Lock()))


def penalised(net, layer=None):
    return lambda output, target: F.mse_loss(output if layer is None else layer(output), target) + net.weight.sum()


class Penalised(nn.Module):
    def __init__(self, net, layer):
        super().__init__()
        self.layer, self.nets = layer, [net]

    def forward(self, output, target):
        return penalised(self.nets[0], self.layer)(output, target)


@pytest.mark.parametrize(
    "made",
    [
        lambda net, layer: penalised(net, layer),
        lambda net, layer: penalised(net),
        lambda net, layer: partial(of_function, penalised(net, layer)),
        Penalised,
    ],
    ids=["both", "the net's", "partial", "module"],
)
def test_an_average_is_evaluated_with_averaged_parameters(made):
    """Against the mean by hand, w <- 0.5 w + 0.5 w'."""
    net, layer = nn.Linear(1, 1), nn.Linear(1, 1)
    loss = registered(made(net, layer), net)
    average = WeightAverage(net, loss, 0.5)
    output, target = torch.ones(1, 1), torch.zeros(1, 1)
    for value in (1.0, 3.0):
        with torch.no_grad():
            for parameter in (*net.parameters(), *layer.parameters()):
                parameter.fill_(value)
        average.update(net, loss)
    squared = (2 + 2) ** 2 if made(net, layer)(output, target) > 4 + 3 else 1  # of the layer, where there is one
    assert average.loss(output, target) == squared + 2
    assert average.net.weight == 2


class OfNet(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, output, target):
        return self.net.weight.sum()


def test_an_average_of_a_loss_that_registers_the_net_is_updated_once():
    net = nn.Linear(1, 1)
    loss = OfNet(net)
    average = WeightAverage(net, loss, 0.5)
    for value in (1.0, 3.0):
        with torch.no_grad():
            net.weight.fill_(value)
        average.update(net, loss)
    assert average.net.weight == 2
    assert average.loss(None, None) == 2

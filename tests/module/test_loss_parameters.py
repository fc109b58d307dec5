"""What a loss holds is registered in the module: it is trained, moved and saved; what belongs to the net is not."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.losses import MSE
from bakeoff.module import SupervisedModule, registered
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
    ],
    ids=["module", "attribute", "parameter", "list", "dict", "method", "closure", "partial"],
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

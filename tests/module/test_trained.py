"""The optimizer has every parameter that is to be trained, and no other one."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn

from bakeoff.losses import MSE
from bakeoff.module import SupervisedModule, check_optimizer, trained_parameters
from bakeoff.optim import SGD

from .small import REAL, loader, trainer


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 3), nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.body(x))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.s, self.fixed = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, output, target):
        return (self.s * self.fixed * output - target[:, None]).square().mean()


def same(found, expected):
    return [id(p) for p in found] == [id(p) for p in expected]


def test_the_nets_parameters_come_first_and_in_its_order():
    net, loss = Net(), Scaled()
    assert same(trained_parameters(net, MSE()), net.parameters())
    assert same(trained_parameters(net, loss), [*net.parameters(), loss.s])


def test_what_the_loss_shares_with_the_net_comes_once():
    net, loss = Net(), Scaled()
    loss.tied = net.head
    assert same(trained_parameters(net, loss), [*net.parameters(), loss.s])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            lambda net, loss: [*net.body.parameters(), net.head.bias, loss.s],
            "^net.head.weight is in no parameter group",
        ),
        (lambda net, loss: [*net.body.parameters(), loss.s], r"^net.head.weight \(and 1 more\) is in no parameter"),
        (lambda net, loss: [*net.parameters()], "^loss.s is in no parameter group of the optimizer; give it to"),
        (lambda net, loss: [*net.parameters(), loss.s, nn.Parameter(torch.ones(2, 7))], r"group 0 .*shape \(2, 7\)"),
    ],
)
def test_a_parameter_too_few_or_too_many_is_refused(chosen, message):
    net, loss = Net(), Scaled()
    with pytest.raises(ValueError, match=message):
        check_optimizer(torch.optim.SGD(chosen(net, loss), lr=0.1), net, loss)


def test_frozen_and_unused_parameters_are_no_fault():
    net, loss = Net(), Scaled()
    net.head.weight.requires_grad_(False)
    chosen = [net.head.bias, *net.body.parameters(), loss.s]
    check_optimizer(torch.optim.SGD(chosen, lr=0.1), net, loss)
    check_optimizer(torch.optim.SGD([*chosen, net.head.weight, loss.fixed], lr=0.1), net, loss)


def test_a_compiled_nets_parameter_has_its_plain_name():
    net = Net()
    compiled: Any = torch.compile(net, backend="eager")
    with pytest.raises(ValueError, match=r"^net.head.weight"):
        check_optimizer(torch.optim.SGD(net.body.parameters(), lr=0.1), compiled, MSE())


def test_a_trainer_refuses_it_before_training(tmp_path):
    def biases_are_lost(parameters):
        return SGD([p for p in parameters if p.ndim > 1], lr=0.1)

    module = SupervisedModule(Net(), MSE(), biases_are_lost, n_out=1, task="regression")
    with pytest.raises(ValueError, match=r"net.body.bias \(and 1 more\) is in no parameter group"):
        trainer(
            tmp_path,
        ).fit(module, loader(REAL[:, None]), loader(REAL[:, None]))


def test_the_probe_measures_what_is_trained(tmp_path):
    """Its norm is that of the gradient that clipping sees."""
    seen = {}
    net, loss = Net(), Scaled()
    module = SupervisedModule(net, loss, partial(SGD, lr=0.0), n_out=1, task="regression", sample_every_n_steps=1)
    x, y = next(iter(loader(REAL, batch_size=120)))
    loss(net(x), y).backward()
    expected = torch.stack([p.grad.norm() for p in [*net.parameters(), loss.s]]).norm().item()

    class Logger(DummyLogger):
        def log_metrics(self, metrics, step=None):
            seen.update(metrics)

    data = loader(REAL, batch_size=120)
    trainer(tmp_path, logger=Logger(), max_epochs=1, log_every_n_steps=1).fit(module, data, data)
    assert seen["grad/norm"] == pytest.approx(expected, rel=1e-5)

"""The Lightning module in any Trainer: its callbacks, its task and its loss."""

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn

from bakeoff.losses import MSE

from .small import Y, loader, module, trainer


def test_other_peoples_callbacks_find_the_metrics(tmp_path):
    stop = EarlyStopping("val/accuracy", mode="max", patience=1, min_delta=2.0)
    runner = trainer(tmp_path, callbacks=[stop], max_epochs=10)
    runner.fit(module(), loader(Y), loader(Y))
    assert runner.current_epoch == 2


def test_the_task_must_be_known():
    with pytest.raises(
        ValueError, match="task must be one of classification, multilabel, regression where the loss fits several"
    ):
        module(MSE())
    assert module(MSE(), task="regression").task.kind == "regression"


def test_a_bare_function_serves_as_loss(tmp_path):
    net = module(lambda output, target: nn.functional.cross_entropy(output, target), task="classification")
    trainer(tmp_path).fit(net, loader(Y), loader(Y))


@pytest.mark.parametrize("of_output", [(64, 1), (64,)], ids=str)
@pytest.mark.parametrize("of_target", [(64, 1), (64,)], ids=str)
@pytest.mark.parametrize(
    "loss", [nn.MSELoss(), nn.SmoothL1Loss(), F.l1_loss], ids=["MSELoss", "SmoothL1Loss", "l1_loss"]
)
def test_a_column_of_targets_is_not_broadcast(of_output, of_target, loss):
    generator = torch.Generator().manual_seed(0)
    output, target = torch.randn(64, generator=generator), torch.randn(64, generator=generator)
    found = module(loss, n_out=1, task="regression")
    found.net = nn.Identity()
    batch = output.reshape(of_output), target.reshape(of_target)
    assert float(found.training_step(batch, 0)) == pytest.approx(float(loss(output, target)))
    found.validation_step(batch, 0)
    assert float(found.val_metrics.compute()["loss"]) == pytest.approx(float(loss(output, target)))


def test_a_loss_of_ones_own_is_given_the_targets_as_they_are():
    found = module(lambda o, t: (o.squeeze(1) - t).square().mean(), n_out=1, task="regression")
    found.net = nn.Identity()
    output, target = torch.randn(64, 1), torch.randn(64)
    assert float(found.training_step((output, target), 0)) == pytest.approx(
        float((output[:, 0] - target).square().mean())
    )

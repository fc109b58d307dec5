"""The Lightning module in any Trainer: its callbacks, its task and its loss."""

import pytest
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
    with pytest.raises(ValueError, match="task must be classification or regression where the loss fits both"):
        module(MSE())
    assert module(MSE(), task="regression").task == "regression"


def test_a_bare_function_serves_as_loss(tmp_path):
    net = module(lambda output, target: nn.functional.cross_entropy(output, target), task="classification")
    trainer(tmp_path).fit(net, loader(Y), loader(Y))

"""The curve of training losses: window means, at whole windows, with the rate of each step."""

from functools import partial

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch.nn.functional import cross_entropy

from bakeoff.module.curve import LossCurve, rate_tags, rates_of
from bakeoff.optim import SGD
from bakeoff.tensorboard import EventFile

from .event_logger import EventLogger
from .small import Y, curves, loader, module, trainer


def test_the_curve_holds_window_means_of_the_losses(tmp_path):
    seen = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(float(outputs["loss"]))

    logger = EventLogger(EventFile(tmp_path))
    options = {"logger": logger, "callbacks": [Keep()], "max_epochs": 5, "log_every_n_steps": 1}
    trainer(tmp_path, **options).fit(module(log_every_n_steps=4), loader(Y), loader(Y))
    points = curves(tmp_path)
    assert [e.step for e in points["train/loss"]][:6] == [4, 8, 12, 16, 20, 24]
    expected = [np.mean(seen[e.step - 4 : e.step]) for e in points["train/loss"]]
    assert [e.value for e in points["train/loss"]] == pytest.approx(expected, rel=1e-5)
    assert points["train/loss"][-1].step == len(seen) == 40
    assert [e.value for e in points["lr"]] == pytest.approx([0.05] * 10)
    assert [e.step for e in points["val/accuracy"]] == [8, 16, 24, 32, 40]


def test_windows_are_whole_however_often_validation_comes(tmp_path):
    options = {"logger": EventLogger(EventFile(tmp_path)), "val_check_interval": 3, "check_val_every_n_epoch": None}
    trainer(tmp_path, max_epochs=3, log_every_n_steps=1, **options).fit(
        module(log_every_n_steps=10), loader(Y), loader(Y)
    )
    points = curves(tmp_path)
    assert [e.step for e in points["train/loss"]] == [e.step for e in points["lr"]] == [10, 20, 24]


def test_the_rate_logged_is_the_rate_of_the_step(tmp_path):
    net = module(log_every_n_steps=1, lr_factor=lambda step: 0.5**step)
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, log_every_n_steps=1, logger=logger, max_epochs=1).fit(net, loader(Y), loader(Y))
    assert [e.value for e in curves(tmp_path)["lr"]] == pytest.approx([0.05 * 0.5**step for step in range(8)])


def filled(window, steps):
    curve = LossCurve(window)
    for step in range(1, steps + 1):
        curve.lr = step / 10
        curve.add(torch.tensor(float(step)))
    return curve


def test_points_are_full_windows_and_at_the_end_a_partial_one():
    curve = filled(window=4, steps=10)
    assert list(curve.points()) == [(4, 2.5, 0.4), (8, 6.5, 0.8)]
    assert list(curve.points()) == []
    assert list(curve.points(last=True)) == [(10, 9.5, 1.0)]


def test_a_restored_curve_writes_the_points_that_the_first_would_have():
    first, second = filled(window=4, steps=10), LossCurve(4)
    list(first.points())
    second.load_state_dict(first.state_dict())
    for curve in (first, second):
        for step in (11, 12):
            curve.lr = 1.0
            curve.add(torch.tensor(float(step)))
    assert list(second.points()) == list(first.points()) == [(12, 10.5, 1.0)]


def test_a_batch_without_a_step_adds_nothing():
    curve = filled(window=2, steps=1)
    assert curve.add(torch.tensor(100.0)) is False
    assert list(curve.points(last=True)) == [(1, 1.0, 0.1)]


def test_the_window_is_checked():
    with pytest.raises(ValueError, match="window must be >= 1, got 0"):
        LossCurve(0)


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
def test_the_loss_of_a_step_is_the_mean_over_its_batches(tmp_path, batches):
    """10 batches of 12: with 3 or 4 to a step, the last step of the epoch has fewer."""
    made = module(log_every_n_steps=1)
    made._optimizer_factory = partial(SGD, lr=0.0)  # so that the loss of every batch is known
    logger = EventLogger(EventFile(tmp_path))
    options = {"accumulate_grad_batches": batches, "logger": logger, "log_every_n_steps": 1}
    trainer(tmp_path, **options).fit(made, loader(Y, batch_size=12), loader(Y, batch_size=12))
    with torch.no_grad():
        losses = [cross_entropy(made.net(x), y).item() for x, y in loader(Y, batch_size=12)]
    expected = [np.mean(losses[i : i + batches]) for i in range(0, 10, batches)] * 2
    points = curves(tmp_path)["train/loss"]
    assert [e.step for e in points] == list(range(1, len(expected) + 1))
    assert [e.value for e in points] == pytest.approx(expected, rel=1e-5)


def test_a_callback_that_accumulates_is_counted_too(tmp_path):
    made = module(log_every_n_steps=1)
    made._optimizer_factory = partial(SGD, lr=0.0)
    options = {"callbacks": [GradientAccumulationScheduler({1: 5})], "logger": EventLogger(EventFile(tmp_path))}
    trainer(tmp_path, log_every_n_steps=1, **options).fit(made, loader(Y, batch_size=12), loader(Y, batch_size=12))
    with torch.no_grad():
        losses = [cross_entropy(made.net(x), y).item() for x, y in loader(Y, batch_size=12)]
    expected = [*losses, np.mean(losses[:5]), np.mean(losses[5:])]
    assert [e.value for e in curves(tmp_path)["train/loss"]] == pytest.approx(expected, rel=1e-5)


def test_the_batches_of_a_step_outlive_a_checkpoint():
    curve, resumed = LossCurve(1), LossCurve(1)
    curve.add(torch.tensor(1.0))
    resumed.load_state_dict(curve.state_dict())
    resumed.lr = 0.1
    resumed.add(torch.tensor(3.0))
    assert list(resumed.points()) == [(1, 2.0, 0.1)]


def test_a_state_of_version_0_2_is_read():
    curve = LossCurve(1)
    curve.load_state_dict({"losses": [torch.tensor(1.0)], "lrs": [0.1], "steps": 3})
    assert list(curve.points()) == [(4, 1.0, 0.1)]


@pytest.mark.parametrize(
    ("names", "tags"),
    [
        (("a", "b"), ("lr/a", "lr/b")),
        (("a", "a"), ("lr/0", "lr/1")),
        ((None, None), ("lr/0", "lr/1")),
    ],
)
def test_groups_with_different_rates_have_a_curve_each(names, tags):
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in names]
    groups = [
        {"params": [weight], "lr": lr, **({"name": name} if name else {})}
        for weight, lr, name in zip(weights, (0.1, 0.2), names, strict=True)
    ]
    optimizer = SGD(groups, lr=0.1)
    places = rate_tags(optimizer)
    assert tuple(place.tag for place in places) == tags
    assert rates_of(optimizer, places) == (0.1, 0.2)
    optimizer.param_groups[1]["lr"] = 0.1
    assert [place.tag for place in rate_tags(optimizer)] == ["lr"]
    assert rates_of(optimizer, rate_tags(optimizer)) == 0.1

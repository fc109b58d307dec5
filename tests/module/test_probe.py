"""Sampled steps: gradient norm, update ratio and phases, and no hook left behind."""

import pytest
import torch

from bakeoff.losses import CrossEntropy
from bakeoff.module import StepProbe
from bakeoff.tensorboard import EventFile

from .event_logger import EventLogger
from .small import X, Y, curves, loader, module, trainer


def test_sampled_steps_show_norm_ratio_and_phases(tmp_path):
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, logger=logger, max_epochs=2).fit(module(sample_every_n_steps=5), loader(Y), loader(Y))
    points = curves(tmp_path)
    for tag in ("grad/norm", "update/ratio", "time/forward", "time/loss", "time/backward", "time/update"):
        assert [e.step for e in points[tag]] == [1, 6, 11, 16], tag
        assert all(e.value > 0 for e in points[tag]), tag


def test_gradient_norm_and_update_ratio_of_the_first_step(tmp_path):
    net = module(sample_every_n_steps=1)
    before = [p.detach().clone() for p in net.parameters()]
    CrossEntropy()(net(X[:16]), Y[:16]).mean().backward()
    norm = float(torch.cat([p.grad.flatten() for p in net.parameters()]).norm())
    size = float(torch.cat([p.flatten() for p in before]).norm())
    fresh = module(sample_every_n_steps=1)
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, logger=logger, max_steps=1, max_epochs=-1).fit(fresh, loader(Y), loader(Y))
    points = curves(tmp_path)
    assert points["grad/norm"][0].value == pytest.approx(norm, rel=1e-5)
    assert points["update/ratio"][0].value == pytest.approx(0.05 * norm / size, rel=1e-5)


def test_accumulated_batches_count_as_one_step_and_leave_no_hooks(tmp_path):
    net = module(log_every_n_steps=2, sample_every_n_steps=2)
    options = {"logger": EventLogger(EventFile(tmp_path)), "accumulate_grad_batches": 2, "max_epochs": 2}
    trainer(tmp_path, log_every_n_steps=1, **options).fit(net, loader(Y), loader(Y))
    assert [e.step for e in curves(tmp_path)["train/loss"]] == [2, 4, 6, 8]
    assert not net.net._forward_hooks
    assert not net.net._forward_pre_hooks


def test_the_interval_is_checked():
    with pytest.raises(ValueError, match="every_n_steps must be >= 1, got 0"):
        StepProbe(0)

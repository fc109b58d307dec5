"""Sampled steps: gradient norm, update ratio and phases, and no hook left behind."""

import lightning.pytorch as pl
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


class Clock:
    """Each forward pass takes 1 s, a loss 10, a backward pass 100, an update 1000; loading a batch takes 5."""

    now = 0.0

    def __init__(self, net, loss):
        net.register_forward_hook(lambda *_: self.take(1))
        loss.register_forward_hook(lambda *_: self.take(10))
        self.net = net

    def take(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now


class TakesTime(pl.Callback):
    def __init__(self, clock):
        self.clock = clock

    def on_train_batch_start(self, *_):
        self.clock.take(5)

    def on_after_backward(self, *_):
        self.clock.take(100)

    def on_train_batch_end(self, trainer, *_):
        self.clock.take(1000 if trainer.global_step != self.steps else 0)
        self.steps = trainer.global_step

    steps = 0


@pytest.mark.parametrize("batches", [1, 3])  # 8 batches an epoch: the last step has two
def test_phases_are_sums_over_the_batches_of_a_step(tmp_path, monkeypatch, batches):
    net = module(log_every_n_steps=1, sample_every_n_steps=1)
    clock = Clock(net.net, net.loss)
    monkeypatch.setattr("bakeoff.module.probe.time", clock)
    options = {"logger": EventLogger(EventFile(tmp_path)), "accumulate_grad_batches": batches, "max_epochs": 1}
    trainer(tmp_path, callbacks=[TakesTime(clock)], **options).fit(net, loader(Y), loader(Y))
    points = curves(tmp_path)
    sizes = [3, 3, 2] if batches == 3 else [1] * 8
    for phase, seconds in (("forward", 1), ("loss", 10), ("backward", 100)):
        assert [e.value for e in points[f"time/{phase}"]] == [1e3 * seconds * size for size in sizes], phase
    assert [e.value for e in points["time/update"]] == [1e6] * len(sizes)
    assert [e.step for e in points["time/update"]] == list(range(1, len(sizes) + 1))


@pytest.mark.parametrize("batches", [1, 2])
def test_phases_of_a_net_that_is_called_several_times_are_not_shown(tmp_path, batches):
    net = module(sample_every_n_steps=1)
    net.loss.register_forward_hook(lambda *_: (net.net(X[:1]), net.net(X[:1]), None)[-1])
    options = {"logger": EventLogger(EventFile(tmp_path)), "accumulate_grad_batches": batches, "max_epochs": 1}
    trainer(tmp_path, **options).fit(net, loader(Y), loader(Y))
    assert len(curves(tmp_path)["grad/norm"]) == 8 // batches
    assert not [tag for tag in curves(tmp_path) if tag.startswith("time/")]


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

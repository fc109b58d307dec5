"""Schedules against torch's own schedulers, at every step of a budget."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_method
from omegaconf import OmegaConf
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR

from bakeoff import schedules

CONF = Path(__file__).parents[1] / "conf" / "schedule"
STEPS = 40


def torchs(scheduler, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = scheduler(optimizer, **options)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_cosine():
    ours = [schedules.cosine(step / STEPS, final=0.1) for step in range(STEPS)]
    assert ours == pytest.approx(torchs(CosineAnnealingLR, T_max=STEPS, eta_min=0.1))


def test_step():
    ours = [schedules.step(step / STEPS, milestones=(0.5, 0.75), gamma=0.1) for step in range(STEPS)]
    assert ours == pytest.approx(torchs(MultiStepLR, milestones=[20, 30], gamma=0.1))


def test_warmup_cosine():
    def at(p):
        return schedules.warmup_cosine(p, warmup=0.2, final=0.1)

    assert [at(0.0), at(0.1), at(0.2), at(0.6), at(1.0)] == pytest.approx([0.0, 0.5, 1.0, 0.55, 0.1])


def test_linear():
    ours = [schedules.linear(step / STEPS, final=0.1) for step in range(STEPS)]
    assert ours == pytest.approx(torchs(LinearLR, start_factor=1.0, end_factor=0.1, total_iters=STEPS))
    rises = [schedules.linear(step / STEPS, warmup=0.25) for step in range(11)]
    assert rises == pytest.approx([step / 10 for step in range(11)])
    assert [schedules.linear(p, warmup=0.25) for p in (0.25, 0.625, 1.0)] == pytest.approx([1.0, 0.5, 0.0])


def test_wsd():
    def parts(optimizer):
        rise = LinearLR(optimizer, start_factor=1e-12, end_factor=1.0, total_iters=4)
        flat = LinearLR(optimizer, start_factor=1.0, end_factor=1.0, total_iters=1)
        fall = LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=8)
        return SequentialLR(optimizer, [rise, flat, fall], milestones=[4, 32])

    ours = [schedules.wsd(step / STEPS, warmup=0.1, decay=0.2, final=0.1) for step in range(STEPS)]
    assert ours == pytest.approx(torchs(parts), abs=1e-9)
    assert [schedules.wsd(p, warmup=0.0, decay=0.0) for p in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert schedules.wsd(1.0, final=0.3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (schedules.linear, {"warmup": 1}, r"warmup must be in \[0, 1\), got 1"),
        (schedules.linear, {"final": -1}, r"final must be in \[0, 1\], got -1"),
        (schedules.wsd, {"decay": 2}, r"decay must be in \[0, 1\], got 2"),
        (schedules.wsd, {"warmup": 0.5, "decay": 0.6}, r"warmup \+ decay must be at most 1, got 0.5 \+ 0.6"),
        (schedules.cosine, {"final": -0.1}, r"final must be in \[0, 1\], got -0.1"),
        (schedules.step, {"gamma": 0}, r"gamma must be in \(0, 1\], got 0"),
        (schedules.warmup_cosine, {"warmup": 1}, r"warmup must be in \[0, 1\), got 1"),
        (schedules.warmup_cosine, {"final": 2}, r"final must be in \[0, 1\], got 2"),
        (schedules.warmup_cosine, {"warmup": float("nan")}, r"warmup must be in \[0, 1\), got nan"),
    ],
)
def test_bad_options_are_refused(schedule, options, message):
    with pytest.raises(ValueError, match=message):
        schedule(0.5, **options)


def test_every_schedule_has_a_configuration_that_states_its_defaults():
    configs = {path.stem: OmegaConf.load(path) for path in CONF.glob("*.yaml")}
    assert configs.pop("constant")._target_ is None
    for name, config in configs.items():
        schedule = get_method(config._target_)
        assert schedule is getattr(schedules, name)
        stated: Any = OmegaConf.to_container(config)
        del stated["_target_"]
        parameters = list(inspect.signature(schedule).parameters.values())[1:]
        assert {parameter.name: parameter.default for parameter in parameters} == {
            key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()
        }

"""Schedules against torch's own schedulers, at every step of a budget."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_method
from omegaconf import OmegaConf
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

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


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
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

"""Schedules against torch's own schedulers, at every step of a budget."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from bakeoff import schedules

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
    with pytest.raises(ValueError, match=r"warmup must be in \[0, 1\), got 1"):
        schedules.warmup_cosine(0.5, warmup=1)

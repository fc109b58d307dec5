"""Learning-rate schedules: pure functions from the share of the budget that is spent, p in [0, 1], to a factor of lr.

A schedule knows no steps and no epochs, so one definition serves every budget, seconds included.
A constant learning rate is no schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def cosine(p: float, *, final: float = 0.0) -> float:
    """lr(p) = lr * (final + (1 - final) * (1 + cos(pi p)) / 2)   (Loshchilov & Hutter 2017, eq. 5, no restart)."""
    if not 0 <= final <= 1:
        raise ValueError(f"final must be in [0, 1], got {final}")
    return final + (1 - final) * (1 + math.cos(math.pi * p)) / 2


def step(p: float, *, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> float:
    """lr(p) = lr * gamma^k with k the milestones passed, each a share of the budget (He et al. 2016, section 4.2)."""
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be in (0, 1], got {gamma}")
    return gamma ** sum(p >= m for m in milestones)


def warmup_cosine(p: float, *, warmup: float = 0.1, final: float = 0.0) -> float:
    """A linear rise over the first `warmup` of the budget (Goyal et al. 2017, section 2.2), then a cosine.

    Raises:
        ValueError: `warmup` is not in [0, 1).

    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be in [0, 1), got {warmup}")
    if p < warmup:
        return p / warmup
    return cosine((p - warmup) / (1 - warmup), final=final)

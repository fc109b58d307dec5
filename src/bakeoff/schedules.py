"""Learning-rate schedules: pure functions from p, the fraction of the budget done, in [0, 1], to a factor of lr.

A schedule depends on neither steps nor epochs, so one definition fits every budget, seconds included.
A constant learning rate needs no schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def cosine(p: float, *, final: float = 0.0) -> float:
    """lr(p) = lr * (final + (1 - final) * (1 + cos(pi p)) / 2)   (Loshchilov & Hutter 2017, eq. 5, no restart).

    Raises:
        ValueError: `final` is not in [0, 1].

    """
    if not 0 <= final <= 1:
        raise ValueError(f"final must be in [0, 1], got {final}")
    return final + (1 - final) * (1 + math.cos(math.pi * p)) / 2


def step(p: float, *, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> float:
    """lr(p) = lr * gamma^k with k the number of milestones <= p   (He et al. 2016, section 4.2).

    Raises:
        ValueError: `gamma` is not in (0, 1].

    """
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be in (0, 1], got {gamma}")
    return gamma ** sum(p >= m for m in milestones)


def warmup_cosine(p: float, *, warmup: float = 0.1, final: float = 0.0) -> float:
    """lr(p) = lr * p / warmup up to `warmup`, then a cosine over the rest   (Goyal et al. 2017, section 2.2).

    Raises:
        ValueError: `warmup` is not in [0, 1), or `final` not in [0, 1].

    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be in [0, 1), got {warmup}")
    if p < warmup:
        return p / warmup
    return cosine((p - warmup) / (1 - warmup), final=final)


def linear(p: float, *, warmup: float = 0.0, final: float = 0.0) -> float:
    """lr(p) = lr * p / warmup up to `warmup`, then a straight line to final * lr   (Devlin et al. 2019, appendix A.2).

    Raises:
        ValueError: `warmup` is not in [0, 1), or `final` not in [0, 1].

    """
    return wsd(p, warmup=warmup, decay=1 - warmup, final=final)


def wsd(p: float, *, warmup: float = 0.1, decay: float = 0.2, final: float = 0.0) -> float:
    """Warm-up, stable, decay: lr * p / warmup up to `warmup`, then lr, and over the last `decay` a line to final * lr.

    Hu et al. 2024, section 4.3; the decay as in Hägele et al. 2024, eq. 1 with f linear. `warmup` and `decay` are
    shares of the budget.

    Raises:
        ValueError: `warmup` is not in [0, 1), `decay` or `final` not in [0, 1], or warm-up and decay overlap.

    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be in [0, 1), got {warmup}")
    for name, value in (("decay", decay), ("final", final)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value}")
    if warmup + decay > 1 + 1e-9:  # 1 - 0.1 is not 0.9 to the bit
        raise ValueError(f"warmup + decay must be at most 1, got {warmup} + {decay}")
    if p < warmup:
        return p / warmup
    done = 0.0 if decay == 0 else max(0.0, 1 - (1 - p) / decay)  # of the decay
    return 1 - (1 - final) * done

"""Whether a difference is the same in every setting of the other choices.

    F = MS_setting / MS_rest,    p = P(F_{R-1, (R-1)(S-1)} >= F)
    MS_setting = S Σ_r (d_r - d)² / (R-1),    MS_rest = Σ_rs (d_rs - d_r - d_s + d)² / ((R-1)(S-1))
    spread     = √max(0, (MS_setting - MS_rest) / S)

d_rs the difference in setting r (of R) and seed s (of S), d_r, d_s and d its means. The F test of repeated measures,
with seeds as subjects: Fisher, "Statistical Methods for Research Workers" (1925), chapter 7. The spread is how far the
difference truly varies between the settings, as a standard deviation. F assumes that the d_rs vary alike in every
setting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from bakeoff.stats.interval import LEVEL
from bakeoff.stats.paired import NO_SPREAD


@dataclass(frozen=True)
class Interaction:
    """How much a difference varies between settings: `spread`, in its units; `p` is None where seeds show no spread.

    `large`: it is sure to vary, and by more than the difference itself, so that the better side depends on the setting.

    >>> Interaction(mean=0.1, spread=0.5, p=0.001).large(), Interaction(mean=0.9, spread=0.5, p=0.001).large()
    (True, False)
    """

    mean: float
    spread: float
    p: float | None

    def large(self, level: float = LEVEL) -> bool:
        """Whether the choice is to be made for each setting by itself."""
        return self.p is not None and self.p <= 1 - level and self.spread > abs(self.mean)


def interaction(differences: np.ndarray) -> Interaction | None:
    """Of differences (S, R), S seeds in R settings, complete; None below 2 seeds or 2 settings.

    >>> found = interaction(np.array([[1.0, -1.1, 0.2], [1.2, -0.9, 0.1], [0.9, -1.0, 0.1]]))
    >>> print(f"varies by {found.spread:.2f} around {found.mean:.2f}, p = {found.p:.5f}")
    varies by 1.02 around 0.06, p = 0.00005

    Raises:
        ValueError: a difference is missing or not finite.

    """
    if not np.isfinite(differences).all():
        raise ValueError("differences must be finite: give the settings that are complete for every seed")
    seeds, settings = differences.shape
    if seeds < 2 or settings < 2:
        return None
    mean, by_setting = float(differences.mean()), differences.mean(axis=0)
    rest = differences - by_setting - differences.mean(axis=1, keepdims=True) + mean
    freedom = (settings - 1) * (seeds - 1)
    of_settings = seeds * float(np.square(by_setting - mean).sum()) / (settings - 1)
    of_rest = float(np.square(rest).sum()) / freedom
    spread = math.sqrt(max(0.0, (of_settings - of_rest) / seeds))
    if of_rest <= NO_SPREAD**2 * of_settings or of_settings + of_rest == 0:
        return Interaction(mean, spread, None)
    return Interaction(mean, spread, float(fdtrc(settings - 1, freedom, of_settings / of_rest)))

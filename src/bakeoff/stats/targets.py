"""How long until a target is reached, in steps, samples or seconds; a miss is infinite.

    T(target)  = min {t : value_t at least as good as the target},  ∞ if there is none
    ratio      = T_A(ℓ) / T_B(ℓ),    ℓ the lowest loss that both reach

"Steps to result" of Shallue et al., "Measuring the Effects of Data Parallelism on Neural Network Training", JMLR 20
(2019). Times are those of measurements: no finer than the validations of a run, and nothing is interpolated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Curve = tuple[Sequence[float], Sequence[float]]  # steps (or samples, or seconds), and the values measured there


def time_to_target(times: Sequence[float], values: Sequence[float], target: float, *, lower_is_better: bool) -> float:
    """The first of `times`, in any unit, at which the target is reached. A value that is not a number reaches nothing.

    >>> time_to_target([100, 200, 300], [0.80, 0.91, 0.90], 0.9, lower_is_better=False)
    200.0
    >>> time_to_target([100, 200, 300], [0.80, 0.91, 0.90], 0.95, lower_is_better=False)
    inf

    Raises:
        ValueError: times and values differ in number, or times do not rise.

    """
    if len(times) != len(values):
        raise ValueError(f"each value must have its time, got {len(times)} times of {len(values)} values")
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError("times must rise")
    reached = (value <= target if lower_is_better else value >= target for value in values)
    return next((float(time) for time, there in zip(times, reached, strict=True) if there), math.inf)


def steps_ratio(first: Curve, second: Curve) -> float | None:
    """Steps of the first to the lowest loss that both reach, over those of the second; None where one has no loss.

    Below 1 the first is faster. Curves are (steps, losses).

    >>> fast, slow = ([100, 200, 300], [0.9, 0.5, 0.4]), ([100, 200, 300, 400], [1.5, 0.9, 0.6, 0.5])
    >>> steps_ratio(fast, slow)
    0.5

    Raises:
        ValueError: as for `time_to_target`.

    """
    lowest = [min((loss for loss in losses if math.isfinite(loss)), default=None) for _, losses in (first, second)]
    if lowest[0] is None or lowest[1] is None:
        return None
    target = max(lowest[0], lowest[1])
    a, b = (time_to_target(*curve, target, lower_is_better=True) for curve in (first, second))
    return a / b if b > 0 else None

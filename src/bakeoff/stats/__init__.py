"""Statistics of runs over seeds: numbers in, numbers out, with NumPy and SciPy alone.

    interval, aggregate, bootstrap    one arm: mean, t interval, interquartile mean, median; bands that describe
    paired                            two arms, paired by seed

Larger is better throughout: negate a metric whose small values are. Where something is drawn, the caller gives the
generator. Nothing here imports scipy.stats, which takes a second.
"""

from bakeoff.stats.aggregate import interquartile_mean, mean, median
from bakeoff.stats.bootstrap import bootstrap_interval, stratified_bootstrap
from bakeoff.stats.interval import Estimate, mean_interval
from bakeoff.stats.paired import paired_difference, paired_t_test, too_close_to_call

__all__ = [
    "Estimate",
    "bootstrap_interval",
    "interquartile_mean",
    "mean",
    "mean_interval",
    "median",
    "paired_difference",
    "paired_t_test",
    "stratified_bootstrap",
    "too_close_to_call",
]

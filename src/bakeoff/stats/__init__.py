"""Statistics of runs over seeds: numbers in, numbers out, with NumPy and SciPy alone.

    interval, aggregate, bootstrap    one arm: mean, t interval, interquartile mean, median; bands that describe
    paired, wins, flips               two arms, paired by seed: t, P(A > B) and the sign test, sign flips
    family, leader, decision          several comparisons at once; is the leader the best; better, same, worse
    standings                         the set of best, and where each arm stands
    arms, main_effects, interactions  all arms of a sweep; one choice over all settings of the others
    power, sample_size                what so many seeds can show, and how many it takes
    trials                            the best of k trials, sensitivity to the learning rate, tunability
    targets, profiles                 time to a target, performance profiles, AlgoPerf's score

Larger is better throughout: negate a metric whose small values are. Where something is drawn, the caller gives the
generator. Nothing here imports scipy.stats, which takes a second.
"""

from bakeoff.stats.aggregate import interquartile_mean, mean, median
from bakeoff.stats.arms import compare_arms
from bakeoff.stats.bootstrap import bootstrap_interval, stratified_bootstrap
from bakeoff.stats.decision import below_resolution, decide
from bakeoff.stats.family import Comparison, compare_family, compare_signs, holm
from bakeoff.stats.flips import FlipTest, max_t_test, sign_flip_test, sign_flips
from bakeoff.stats.interactions import Interaction, interaction
from bakeoff.stats.interval import Estimate, mean_interval
from bakeoff.stats.main_effects import Contrast, MainEffect, contrast, main_effect
from bakeoff.stats.paired import paired_difference, paired_t_test, too_close_to_call
from bakeoff.stats.power import detectable_difference, paired_t_power, seeds_needed
from bakeoff.stats.profiles import (
    algoperf_score,
    algoperf_score_on_grid,
    performance_profile,
    performance_ratios,
)
from bakeoff.stats.sample_size import (
    noether_sample_size,
    pairs_needed,
    probability_of_improvement,
    sign_test_power,
)
from bakeoff.stats.standings import Standings
from bakeoff.stats.targets import steps_ratio, time_to_target
from bakeoff.stats.trials import expected_best, learning_rate_sensitivity, tunability
from bakeoff.stats.wins import Wins, binomial_interval, count_wins, improvement

__all__ = [
    "Comparison",
    "Contrast",
    "Estimate",
    "FlipTest",
    "Interaction",
    "MainEffect",
    "Standings",
    "Wins",
    "algoperf_score",
    "algoperf_score_on_grid",
    "below_resolution",
    "binomial_interval",
    "bootstrap_interval",
    "compare_arms",
    "compare_family",
    "compare_signs",
    "contrast",
    "count_wins",
    "decide",
    "detectable_difference",
    "expected_best",
    "holm",
    "improvement",
    "interaction",
    "interquartile_mean",
    "learning_rate_sensitivity",
    "main_effect",
    "max_t_test",
    "mean",
    "mean_interval",
    "median",
    "noether_sample_size",
    "paired_difference",
    "paired_t_power",
    "paired_t_test",
    "pairs_needed",
    "performance_profile",
    "performance_ratios",
    "probability_of_improvement",
    "seeds_needed",
    "sign_flip_test",
    "sign_flips",
    "sign_test_power",
    "steps_ratio",
    "stratified_bootstrap",
    "time_to_target",
    "too_close_to_call",
    "tunability",
]

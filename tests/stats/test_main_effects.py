"""Main effects and interactions against statsmodels, and by hand where runs are missing."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_1samp
from statsmodels.stats.anova import AnovaRM

from bakeoff.stats import contrast, interaction, main_effect

LOSSES, OPTIMIZERS, BATCHES = ("mse", "ce", "hinge"), ("sgd", "adam"), (16, 128)


def demo(seeds=3, rng=0, interact=0.0):
    """27 arms' little brother: loss, optimizer and batch size; what a seed does to all runs, effects and noise."""
    random = np.random.default_rng(rng)
    of_seed = random.normal(0, 1, seeds)
    values = {}
    for i, (loss, optimizer, batch) in enumerate(itertools.product(LOSSES, OPTIMIZERS, BATCHES)):
        effect = {"mse": 1.0, "ce": 0.0, "hinge": 0.1}[loss] + interact * (-1) ** i * (loss == "mse")
        values[loss, optimizer, batch] = {s: effect + of_seed[s] + random.normal(0, 0.3) for s in range(seeds)}
    return values


def frame(values, levels):
    rows = [
        {"loss": key[0], "rest": f"{key[1:]}", "seed": seed, "value": value}
        for key, by_seed in values.items()
        if key[0] in levels
        for seed, value in by_seed.items()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seeds", [3, 5, 9])
@pytest.mark.parametrize("pair", list(itertools.combinations(LOSSES, 2)))
def test_two_levels_agree_with_the_repeated_measures_of_statsmodels(seeds, pair):
    values = demo(seeds, seeds, interact=0.4)
    found = main_effect(values, 0)
    table = AnovaRM(frame(values, pair), "value", "seed", within=["loss", "rest"]).fit().anova_table
    gap = found.standings.comparison(*pair).difference
    of_mean = ttest_1samp(list(found.contrasts[pair].by_seed.values()), 0)
    assert of_mean.statistic**2 == pytest.approx(table.loc["loss", "F Value"])
    assert of_mean.pvalue == pytest.approx(table.loc["loss", "Pr > F"])
    assert gap.half_width == pytest.approx(
        t.ppf(0.975, seeds - 1) * abs(gap.mean) / math.sqrt(table.loc["loss", "F Value"])
    )
    assert found.contrasts[pair].interaction.p == pytest.approx(table.loc["loss:rest", "Pr > F"])


def test_the_choice_may_stand_anywhere():
    values = demo(4)
    turned = {(key[1], key[2], key[0]): by_seed for key, by_seed in values.items()}
    assert main_effect(values, 0).standings == main_effect(turned, 2).standings
    assert main_effect(values, 1).levels == OPTIMIZERS
    assert main_effect(values, 2).contrasts[16, 128].settings == tuple(itertools.product(LOSSES, OPTIMIZERS))


def test_by_hand_with_missing_and_bad_runs():
    values = demo(3)
    values["mse", "sgd", 16] = {0: 1.0, 2: 5.0}  # seed 1 missing
    values["ce", "adam", 128] = {0: None, 1: 2.0, 2: 2.0}  # seed 0 diverged
    del values["hinge", "adam", 16]
    found = main_effect(values, 0).contrasts
    complete = [("sgd", 128), ("adam", 16)]
    by_hand = [np.mean([values["mse", *r][s] - values["ce", *r][s] for r in complete]) for s in range(3)]
    kept = found["mse", "ce"]
    assert kept.settings == (("sgd", 128), ("adam", 16))
    assert list(kept.by_seed.values()) == pytest.approx(by_hand)
    assert kept.dropped_settings == (("sgd", 16), ("adam", 128))
    assert kept.dropped_seeds == ()
    assert found["mse", "hinge"].dropped_settings == (("sgd", 16), ("adam", 16))
    assert found["ce", "hinge"].settings == (("sgd", 16), ("sgd", 128))


def test_a_seed_that_few_settings_have_is_dropped_in_place_of_the_settings():
    values = demo(3)
    for key in list(values)[1:]:
        del values[key][2]  # the sweep was stopped during its third seed
    found = main_effect(values, 0).contrasts["mse", "ce"]
    assert (len(found.settings), found.dropped_settings, found.dropped_seeds) == (4, (), (2,))
    assert set(found.by_seed) == {0, 1}


def test_seeds_count_and_not_runs():
    # 4 settings that are copies of each other tell nothing that one doesn't
    levels = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "b": {0: 0.5, 1: 1.0, 2: 1.0}}
    values = {(at, setting): levels[at] for at in levels for setting in range(4)}
    one = {key: by_seed for key, by_seed in values.items() if key[1] == 0}
    many, single = (main_effect(v, 0).standings.comparison("a", "b") for v in (values, one))
    assert many == single
    assert many.difference.n == 3


def test_a_choice_that_depends_on_the_setting():
    values = demo(5, 1, interact=2.0)
    found = main_effect(values, 0)
    assert found.contrasts["mse", "ce"].interaction.large()
    assert not found.contrasts["ce", "hinge"].interaction.large()
    per_setting = found.contrasts["mse", "ce"].per_setting()
    signs = {np.sign(gap.difference.mean) for gap in per_setting.values() if gap.different()}
    assert signs == {1, -1}


def test_the_same_in_all_settings():
    assert not main_effect(demo(5, 2), 0).contrasts["mse", "ce"].interaction.large()


def test_the_spread_between_settings_is_without_noise():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.5, 400)
    found = interaction(truth + rng.normal(0, 1, (3, 400)))
    assert found.spread == pytest.approx(truth.std(ddof=1), abs=0.1)  # with the noise it would be 0.76


def test_an_interaction_of_seeds_that_are_alike_is_not_judged():
    alike = np.array([[1.0, -1.0, 2.0]] * 3)
    assert interaction(alike).p is None
    assert not interaction(alike).large()
    assert interaction(np.zeros((3, 2))).p is None
    assert interaction(np.ones((3, 1))) is interaction(np.ones((1, 3))) is None
    with pytest.raises(ValueError, match="finite"):
        interaction(np.array([[1.0, math.nan], [1.0, 2.0]]))


def test_levels_in_no_common_setting():
    values = {("a", "sgd"): {0: 1.0, 1: 2.0}, ("b", "adam"): {0: 3.0, 1: 1.0}}
    found = main_effect(values, 0)
    assert found.contrasts["a", "b"].settings == ()
    assert found.contrasts["a", "b"].dropped_settings == (("sgd",), ("adam",))
    assert found.contrasts["a", "b"].interaction is None
    assert [found.standings.standing(at) for at in "ab"] == ["no value"] * 2


def test_one_seed_and_one_level():
    one = main_effect({("a",): {0: 1.0}, ("b",): {0: 2.0}}, 0)
    assert one.standings.comparison("b", "a").difference.mean == 1
    assert set(one.standings.best) == {"a", "b"}
    assert main_effect({("a", 1): {0: 1.0}}, 0).contrasts == {}
    assert main_effect({}, 0).levels == ()


def test_a_level_with_more_bad_ends_is_never_better():
    values = demo(9)
    assert main_effect(values, 0).standings.standing("mse") == "better"
    values["mse", "sgd", 16] = {**values["mse", "sgd", 16], 4: None}
    found = main_effect(values, 0)
    assert found.contrasts["mse", "ce"].dropped_seeds == (4,)
    assert (found.standings.bad["mse"], found.standings.decision("mse", "ce")) == (1, "undecided")
    assert found.standings.standing("mse") == "best set"


def test_only_bad_ends():
    found = contrast({("sgd",): {0: None, 1: None}}, {("sgd",): {0: 1.0, 1: 2.0}})
    assert (found.settings, found.by_seed, found.dropped_settings, found.dropped_seeds) == ((), {}, (("sgd",),), (0, 1))


@pytest.mark.parametrize(("values", "choice"), [({("a", 1): {}, ("b",): {}}, 0), ({("a",): {}}, 1), ({("a",): {}}, -1)])
def test_settings_must_have_the_choice(values, choice):
    with pytest.raises(ValueError, match="must have the same choices"):
        main_effect(values, choice)

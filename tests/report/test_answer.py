"""What each choice changes: by hand from the records, and the sentences that say it."""

import itertools

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bakeoff.report.answer import render_answer
from bakeoff.report.arms import group_arms
from bakeoff.report.effects import choice_effects
from bakeoff.report.records import as_sweep
from bakeoff.report.sweep_text import sweep_text

LOSSES, OPTIMIZERS, SEEDS = ("mse", "hinge", "huber"), ("sgd", "adam"), range(5)
BETTER = {"mse": 0.02, "hinge": 0.0, "huber": -0.01}


@pytest.fixture
def grid(make_record):
    """A sweep in which the loss matters and the optimizer does not."""

    def make(missing=(), status="completed", **changes):
        noise, records = np.random.default_rng(0), []
        for loss, optimizer, seed in itertools.product(LOSSES, OPTIMIZERS, SEEDS):
            accuracy = 0.9 + BETTER[loss] + 0.01 * seed / 5 + 0.002 * noise.standard_normal()
            is_missing = (loss, optimizer, seed) in missing
            arm = {"loss": loss, "optimizer": optimizer}
            folder = f"loss={loss},optimizer={optimizer}"
            value, end = (None, status) if is_missing else (accuracy, "completed")
            records.append(make_record(folder, seed, value, end, arm=arm, **changes))
        return records

    return make


def effect_of(records, key, direction="max", metric="val/accuracy"):
    found = choice_effects(group_arms(records), metric, direction)
    return next(one for one in found if one.key == key)


def by_hand(records, first, second, settings, seeds=SEEDS):
    """Differences by seed, each averaged over the settings."""
    value = {(r.arm["loss"], r.arm["optimizer"], r.seed): r.final("val/accuracy") for r in records}
    return np.array([np.mean([value[first, o, s] - value[second, o, s] for o in settings]) for s in seeds])


def test_a_difference_is_averaged_within_each_seed_over_the_settings(grid):
    records = grid()
    effect = effect_of(records, "loss")
    assert (effect.leader, effect.best, effect.seeds) == ("mse", ["mse"], 5)
    for gap in effect.gaps():
        differences = by_hand(records, "mse", gap.level, OPTIMIZERS)
        assert gap.comparison.difference.mean == pytest.approx(differences.mean())
        assert gap.comparison.alone == pytest.approx(ttest_1samp(differences, 0).pvalue)
        assert gap.comparison.difference.low < 0.02 + (0 if gap.level == "hinge" else 0.01)
        assert gap.says == "better"


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted"])
def test_settings_without_all_runs_are_left_out(grid, status):
    records = grid(missing=[("hinge", "adam", seed) for seed in SEEDS], status=status)
    gaps = {gap.level: gap for gap in effect_of(records, "loss").gaps()}
    assert gaps["hinge"].differences.settings == (('"sgd"',),)
    expected = by_hand(records, "mse", "hinge", ["sgd"])
    assert gaps["hinge"].comparison.difference.mean == pytest.approx(expected.mean())
    assert len(gaps["huber"].differences.settings) == 2


def test_small_values_are_better_where_the_metric_says_so(grid):
    records = grid()
    assert effect_of(records, "loss", "min").leader == "huber"
    assert all(gap.comparison.difference.mean > 0 for gap in effect_of(records, "loss", "min").gaps())


def test_the_sentences(grid):
    loss, optimizer, *_ = render_answer(grid()).splitlines()
    assert loss.startswith("loss: mse is best, by 0.02")
    assert " over hinge and 0.03" in loss
    assert loss.endswith(" over huber (5 seeds)")
    assert optimizer.startswith(
        "optimizer: too close to call among adam and sgd at 5 seeds, which would show differences of"
    )


def test_where_the_settings_decide_each_is_shown(make_record):
    """mse is the better loss for sgd, and the worse one for adam."""
    noise = np.random.default_rng(0)
    records = [
        make_record(
            f"loss={loss},optimizer={optimizer}",
            seed,
            0.9 + 0.001 * seed + sign * 0.02 * (loss == "mse") + 0.001 * noise.standard_normal(),
            arm={"loss": loss, "optimizer": optimizer},
        )
        for loss in ("mse", "hinge")
        for optimizer, sign in (("sgd", 1.1), ("adam", -1))
        for seed in SEEDS
    ]
    text = render_answer(records)
    assert text.startswith("loss: how far mse is ahead depends on optimizer (5 seeds); each setting by itself is below")
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines() if line.strip().startswith("at ")}
    assert "better" in rows["at optimizer=sgd"]
    assert "worse" in rows["at optimizer=adam"]


def test_choices_that_never_meet_have_no_effect_by_themselves(make_record):
    """Each optimizer with a rate of its own: neither can be told from the other."""
    records = [
        make_record(f"optimizer={name},optimizer.lr={lr}", seed, accuracy, arm={"optimizer": name, "optimizer.lr": lr})
        for name, lr, accuracy in (("sgd", 0.1, 0.9), ("adam", 0.001, 0.8))
        for seed in SEEDS
    ]
    assert render_answer(records) == ""


def test_two_arms_that_read_alike_have_none(make_record):
    records = [make_record(folder, seed, 0.9, arm={"loss": "mse"}) for folder in ("a~1", "a~2") for seed in SEEDS]
    assert render_answer(records) == ""


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_few_seeds(make_record, seeds):
    records = [
        make_record(f"loss={loss}", seed, accuracy + 0.01 * (seed % 2), arm={"loss": loss})
        for loss, accuracy in (("mse", 0.9), ("hinge", 0.8))
        for seed in range(seeds)
    ]
    text = render_answer(records)
    said = text.splitlines()[0]
    if seeds == 1:
        assert text.splitlines()[-1].split() == ["loss", "mse", "hinge", "0.1000", "-", "too", "few", "seeds", "1", "1"]
        assert said == "loss: mse is ahead; with fewer than 2 seeds nothing says how sure that is"
    else:
        assert said == f"loss: too close to call among mse and hinge at {seeds} seeds"  # no spread in the difference


def test_rates_that_were_drawn_are_no_choice(make_record):
    records = [
        make_record(
            f"lr={rate},loss={loss}", seed, 0.9 + 0.01 * (loss == "mse") * (1 + seed), arm={"lr": rate, "loss": loss}
        )
        for rate in range(21)
        for loss in ("mse", "hinge")
        for seed in SEEDS
    ]
    assert [effect.key for effect in choice_effects(group_arms(records), "val/accuracy", "max")] == ["loss"]


def test_no_run_that_ended_well(make_record):
    records = [
        make_record(f"loss={loss}", seed, None, "diverged", arm={"loss": loss})
        for loss in ("mse", "hinge")
        for seed in SEEDS
    ]
    assert render_answer(records) == ""


def test_a_level_whose_runs_all_ended_badly_is_not_beaten_by_a_number(grid):
    text = render_answer(grid([("huber", optimizer, seed) for optimizer in OPTIMIZERS for seed in SEEDS], "diverged"))
    said = text.splitlines()[0]
    assert said.startswith("loss: mse is best, by 0.02")
    assert said.endswith("over hinge (5 seeds); 10 of 10 runs of huber ended badly")
    assert "left out of loss: mse than huber, for runs that are missing or ended badly: all settings" in text


def test_a_level_is_not_best_by_the_runs_that_are_left(grid):
    """mse is ahead, but diverges with one of the optimizers."""
    text = render_answer(grid([("mse", "adam", seed) for seed in SEEDS], "diverged"))
    said = text.splitlines()[0]
    assert said.startswith(
        "loss: not decided between hinge and mse (5 seeds); huber is worse, by 0.0091; mse is better by"
    )
    assert said.endswith(" where its runs ended well; 5 of 10 runs of mse ended badly")
    rows = {line.split()[2]: line for line in text.splitlines() if line.startswith("loss  ")}
    assert "bad ends" in rows["mse"]
    assert "left out of loss: hinge than mse, for runs that are missing or ended badly: optimizer=adam" in text


def test_a_seed_that_is_left_out_is_named(grid):
    text = render_answer(grid([("hinge", "adam", 2)], "interrupted"))
    assert "(4 seeds)" in text.splitlines()[0]
    assert "left out of loss: mse than hinge, for runs that are missing or ended badly: seed 2" in text
    assert "ended badly;" not in text.splitlines()[0]


def test_one_arm(make_record):
    assert render_answer([make_record("loss=mse", seed) for seed in SEEDS]) == ""


def test_control_characters_of_a_choice_are_escaped(make_record):
    records = [
        make_record(f"loss={loss}", seed, 0.9, arm={"loss": f"\x1b[31m{loss}"}) for loss in "ab" for seed in SEEDS
    ]
    assert "\x1b" not in render_answer(records)


def test_the_answer_stands_before_the_arms(grid):
    text = sweep_text(as_sweep(grid(), None))
    assert text.index("loss: mse is best") < text.index("rank")

"""What the lines below a leaderboard say."""

import numpy as np

from bakeoff.report.footer import budget
from bakeoff.report.leaderboard import render


def footer_of(text):
    return " ".join(text.split("\n\n")[1].split())


def test_the_footer_says_how_to_read_the_table(make_arm):
    footer = footer_of(
        render(make_arm("a", 0.9, 0.91) + make_arm("b", 0.8, 0.82), tuning_note="best of 3\nat seed 100\x1b")
    )
    how = "final value on validation data, higher is better; mean ± 95% Student t interval over 2 seeds"
    for part in (
        "budget: every completed run: 600 optimizer steps, 20 epochs, 76800 samples",
        r"tuning note: best of 3 tuning note: at seed 100\x1b",
        f"val/accuracy: {how}",
        "=: may be the best as well: no arm is sure to be better, at 95% for the two arms, paired by seed",
        "runs: 4: 4 completed, 0 diverged, 0 failed",
    ):
        assert part in footer
    assert "caution" not in footer


def test_the_footer_names_what_all_arms_share(make_record):
    records = [make_record(name, arm={"model": "cnn", "optimizer": name}) for name in ("adam", "sgd")]
    assert "common to all arms: model=cnn" in footer_of(render(records))


def test_budget_tells_what_agrees_and_what_does_not(make_record):
    same = [make_record("a", s) for s in range(2)]
    assert budget(same) == "every completed run: 600 optimizer steps, 20 epochs, 76800 samples"
    mixed = [*same, make_record("b", steps=2400)]
    assert budget(mixed) == (
        "every completed run: 20 epochs, 76800 samples; differing between runs: optimizer steps (600 to 2400)"
    )
    assert budget([*same, make_record("b", steps=9, epochs=150 / 17, samples=4)]) == (
        "differing between runs: optimizer steps (9 to 600), epochs (8.824 to 20), samples (4 to 76800)"
    )
    assert budget([*same, make_record("b", status="diverged", steps=3)]) == budget(same)
    assert budget([make_record("a", samples=123456789012)]).endswith("123456789012 samples")


def test_comparing_by_the_loss_itself_is_cautioned(make_record):
    records = [make_record(loss, arm={"loss": loss}) for loss in ("mse", "focal")]
    assert "caution: val/loss measures something else" in footer_of(render(records, metric="val/loss"))
    same = [make_record(name, arm={"optimizer": name}) for name in ("adam", "sgd")]
    assert "caution" not in footer_of(render(same, metric="val/loss"))


def test_a_gap_without_spread_is_cautioned(make_record):
    best = [make_record("adam", seed, 0.95 + seed / 100) for seed in range(3)]
    shifted = [make_record("sgd", seed, float(np.float32(0.94 + seed / 100))) for seed in range(3)]
    varied = [make_record("rmsprop", seed, 0.94 - seed / 100) for seed in range(3)]
    assert "caution: 1 arm(s) differ from the best by the same amount" in footer_of(render([*best, *shifted, *varied]))
    assert "same amount" not in footer_of(render([*best, *varied]))

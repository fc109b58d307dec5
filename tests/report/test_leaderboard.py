import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import t

from bakeoff.errors import UserError
from bakeoff.report.footer import budget
from bakeoff.report.leaderboard import render
from bakeoff.report.ranking import check_metric, rank_arms
from bakeoff.report.records import Problem
from bakeoff.report.table import cells_wide
from bakeoff.runs.outcome import STATUSES


@pytest.fixture
def make_arm(make_record):
    """Records of one arm, one a value; a text in place of a value is the status of a run that has none."""

    def make(folder, *values, **changes):
        return [
            make_record(folder, seed, None, value, **changes)
            if isinstance(value, str)
            else make_record(folder, seed, value, **changes)
            for seed, value in enumerate(values)
        ]

    return make


def lines(text):
    table, footer = text.split("\n\n")
    header, _, *rows = table.splitlines()
    return header.split(), [row.split() for row in rows], " ".join(footer.split())


def ranks(rows):
    return [(row.arm.folder, row.rank, row.too_close) for row in rows]


def test_arms_are_ranked_by_the_mean_on_validation_data(make_arm):
    records = make_arm("low", 0.80, 0.82, 0.81) + make_arm("high", 0.95, 0.96, 0.97) + make_arm("mid", 0.9, 0.89)
    assert ranks(rank_arms(records)) == [("high", 1, False), ("mid", 2, True), ("low", 3, False)]


def test_numbers_of_a_row(make_arm):
    records = make_arm("adam", 0.90, 0.92, 0.94, seconds=2.0)
    (row,) = rank_arms(records)
    half = t.ppf(0.975, 2) * 0.02 / 3**0.5
    assert row.validation.mean == pytest.approx(0.92)
    assert row.validation.half_width == pytest.approx(half)
    assert row.test.mean == pytest.approx(0.91)
    assert (row.steps, row.samples, row.seconds) == (600, 76800, 2.0)
    header, ((rank, name, *cells),), _ = lines(render(records))
    assert " ".join(header) == "rank arm val/accuracy test/accuracy compl div fail steps samples seconds"
    assert (rank, name) == ("1", "default")
    assert " ".join(cells) == f"0.9200±{half:.4f} 0.9100±{half:.4f} 3 0 0 600 76800 2.0"


def test_steps_samples_and_seconds_are_means_over_completed_runs(make_record):
    records = [
        make_record("a", 0, steps=100, samples=1000, seconds=1.0),
        make_record("a", 1, steps=300, samples=3000, seconds=2.0),
        make_record("a", 2, None, "diverged", steps=7, samples=70, seconds=100.0),
    ]
    (row,) = rank_arms(records)
    assert (row.steps, row.samples, row.seconds) == (200, 2000, 1.5)


def test_order_of_complete_partial_and_empty_arms(make_arm):
    records = [
        *make_arm("none", "diverged", "diverged"),
        *make_arm("partial-low", 0.5, "failed"),
        *make_arm("partial-high", 0.99, "diverged"),
        *make_arm("complete-low", 0.1, 0.3),
        *make_arm("complete-high", 0.6, 0.7),
    ]
    assert ranks(rank_arms(records)) == [
        ("complete-high", 1, False),
        ("complete-low", 2, True),
        ("partial-high", None, False),
        ("partial-low", None, False),
        ("none", None, False),
    ]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "completed"])
def test_one_run_that_did_not_complete_bars_an_arm_from_being_best(make_arm, status):
    rows = rank_arms(make_arm("star", 0.99, 0.99, status) + make_arm("plain", 0.5, 0.5, 0.5))
    assert ranks(rows) == [("plain", 1, False), ("star", None, False)]
    assert rows[1].counts == {"completed": 2, status: 1}
    assert rows[1].validation.mean == 0.99


def test_a_lost_run_bars_an_arm_too(make_arm):
    problem = Problem(Path("sweep/star/seed=2"), "outcome.json is empty")
    text = render(make_arm("star", 0.99, 0.99) + make_arm("plain", 0.5, 0.5), [problem])
    header, rows, footer = lines(text)
    assert [(row[0], row[1]) for row in rows] == [("1", "plain"), ("-", "star")]
    assert [row[header.index("lost")] for row in rows] == ["0", "1"]
    assert "lost: sweep/star/seed=2: outcome.json is empty" in footer
    assert "runs: 5: 4 completed, 0 diverged, 0 failed, 1 lost" in footer


def test_a_number_left_by_a_run_that_diverged_is_not_averaged_in(make_record):
    records = [
        make_record("a", 0, 0.9),
        make_record("a", 1, 0.1, "diverged"),
        make_record("a", 2, 0.1, "failed"),
    ]
    (row,) = rank_arms(records)
    assert (row.validation.mean, row.validation.n, row.test.n) == (0.9, 1, 1)


def test_a_completed_run_without_a_finite_metric_is_no_number_and_is_told(make_record):
    records = [
        make_record("a", 0, 0.9),
        make_record("a", 1, None),
        make_record("b", 0, 0.1),
        make_record("b", 1, 0.1),
    ]
    assert ranks(rank_arms(records)) == [("b", 1, False), ("a", None, False)]
    assert "caution: 1 completed run(s) have no finite val/accuracy" in lines(render(records))[2]


def test_no_best_when_no_arm_completed(make_arm):
    _, rows, footer = lines(render(make_arm("a", 0.9, "failed") + make_arm("b", 0.8, "running")))
    assert [row[0] for row in rows] == ["-", "-"]
    assert "no arm completed all its runs: none is the best" in footer
    assert "=:" not in footer


def test_nothing_completed_at_all(make_arm):
    header, rows, footer = lines(render(make_arm("a", "running", metrics={}) + make_arm("b", "failed", metrics={})))
    assert [row[:4] for row in rows] == [["-", "a", "-", "-"], ["-", "b", "-", "-"]]
    assert [row[header.index("run")] for row in rows] == ["1", "0"]
    assert "budget: no run completed" in footer


def test_columns_of_interrupted_and_running_stand_only_when_needed(make_arm):
    assert "run" not in lines(render(make_arm("a", 0.9)))[0]
    header, (row,), footer = lines(render(make_arm("a", 0.9, "interrupted", "running", "running")))
    counts = dict(zip(header[2:], row[2:], strict=True))
    assert [counts[name] for name in ("compl", "div", "fail", "intr", "run")] == ["1", "0", "0", "1", "2"]
    assert "runs: 4: 1 completed, 0 diverged, 0 failed, 1 interrupted, 2 running" in footer


def test_mark_is_paired_by_seed(make_arm):
    best = make_arm("best", 0.90, 0.94, 0.98)
    # always 0.01 behind: within the spread over seeds, and yet never ahead
    behind = make_arm("behind", 0.89, 0.929, 0.971)
    noisy = make_arm("noisy", 0.93, 0.90, 0.95)
    assert ranks(rank_arms(best + behind + noisy)) == [
        ("best", 1, False),
        ("behind", 2, False),
        ("noisy", 3, True),
    ]
    assert [row[:2] for row in lines(render(best + behind + noisy))[1]] == [
        ["1", "best"],
        ["2", "behind"],
        ["=", "3"],
    ]


def test_exact_ties_share_a_rank_in_the_order_of_their_folders(make_arm):
    records = make_arm("b", 0.9, 0.8) + make_arm("a", 0.8, 0.9) + make_arm("c", 0.2, 0.1)
    rows = rank_arms(records)
    assert [(row.arm.folder, row.rank) for row in rows] == [("a", 1), ("b", 1), ("c", 3)]
    assert [row.too_close for row in rows] == [False, True, True]


def test_a_single_seed_has_no_interval_and_calls_nothing(make_arm):
    _, rows, footer = lines(render(make_arm("a", 0.9) + make_arm("b", 0.1)))
    assert [row[:4] for row in rows] == [["1", "a", "0.9000", "0.8900"], ["?", "2", "b", "0.1000"]]
    assert "over 1 seed (no interval)" in footer


def test_unequal_seeds_are_paired_over_those_they_share(make_record):
    best = [make_record("best", seed, 0.9 + 0.001 * seed) for seed in range(5)]
    other = [make_record("other", seed, 0.8 + 0.001 * seed) for seed in (3, 4, 9)]
    alone = [make_record("alone", seed, 0.7) for seed in (10, 11)]
    records = best + other + alone
    assert ranks(rank_arms(records)) == [("best", 1, False), ("other", 2, False), ("alone", 3, True)]
    footer = lines(render(records))[2]
    assert "over 2 to 5 seeds" in footer
    assert "caution: the arms do not have the same seeds" in footer


@pytest.mark.parametrize("metric", ["rmse", "mae", "loss", "nll", "ece"])
def test_lower_is_better_for_errors(make_record, metric):
    def record(folder, value):
        metrics = {f"val/{metric}": {"final": value}, f"test/{metric}": {"final": value + 1}}
        return make_record(folder, 0, metrics=metrics)

    rows = rank_arms([record("bad", 60.0), record("good", 53.2)], metric=f"val/{metric}")
    assert [(row.arm.folder, row.rank, row.test.mean) for row in rows] == [
        ("good", 1, 54.2),
        ("bad", 2, 61.0),
    ]


@pytest.mark.parametrize("metric", ["accuracy", "top5", "r2", "my_score"])
def test_higher_is_better_for_the_rest(make_record, metric):
    records = [make_record(str(x), 0, metrics={f"val/{metric}": {"final": x}}) for x in (-0.5, 0.5)]
    rows = rank_arms(records, metric=f"val/{metric}")
    assert [row.arm.folder for row in rows] == ["0.5", "-0.5"]
    assert (
        f"val/{metric}: final value on validation data, higher is better"
        in lines(render(records, metric=f"val/{metric}"))[2]
    )


def test_the_direction_also_orders_arms_with_bad_runs(make_record):
    def record(folder, seed, value, status="completed"):
        return make_record(folder, seed, None, status, metrics={"val/rmse": {"final": value}})

    records = [record(f, 1, None, "failed") for f in ("a", "b")] + [record("a", 0, 9.0), record("b", 0, 5.0)]
    assert [row.arm.folder for row in rank_arms(records, metric="val/rmse")] == ["b", "a"]


def test_test_data_chooses_nothing(make_record):
    def record(folder, val, test):
        return make_record(folder, 0, metrics={"val/accuracy": {"final": val}, "test/accuracy": {"final": test}})

    rows = rank_arms([record("a", 0.9, 0.1), record("b", 0.8, 0.99)])
    assert [row.arm.folder for row in rows] == ["a", "b"]
    assert "test data chose nothing" in lines(render([record("a", 0.9, 0.1)]))[2]


def test_final_and_not_best_values_count(make_record):
    metrics = {"val/accuracy": {"final": 0.5, "best": 0.99, "best_step": 1}}
    (row,) = rank_arms([make_record("a", 0, metrics=metrics)])
    assert row.validation.mean == 0.5


def test_a_mean_over_only_some_test_values_is_not_shown(make_record):
    records = [make_record("a", 0), make_record("a", 1, metrics={"val/accuracy": {"final": 0.9}})]
    (row,) = rank_arms(records)
    assert (row.validation.n, row.test) == (2, None)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("val/acuracy", "the metric val/acuracy (did you mean val/accuracy?); there are val/accuracy, val/loss"),
        ("val/zzz", "no run has the metric val/zzz; there are val/accuracy, val/loss"),
        ("accuracy", "a validation metric, as in val/accuracy, got accuracy (did you mean val/accuracy?)"),
        ("test/accuracy", "as in val/accuracy, got test/accuracy (did you mean val/accuracy?)"),
    ],
)
def test_an_unknown_metric_is_refused(make_record, metric, message):
    with pytest.raises(UserError, match=re.escape(message)):
        check_metric([make_record("a")], metric)


def test_a_short_name_finds_its_validation_metric(make_record):
    record = make_record("a", metrics={"val/r2": {"final": 0.5}, "val/rmse": {"final": 2.0}})
    with pytest.raises(UserError, match=r"did you mean val/r2\?"):
        check_metric([record], "r2")


def test_the_footer_says_how_to_read_the_table(make_arm):
    footer = lines(render(make_arm("a", 0.9, 0.91) + make_arm("b", 0.8, 0.82), policy="best of 3\nat seed 100\x1b"))[2]
    how = "final value on validation data, higher is better; mean ± 95% Student t interval over 2 seeds"
    for part in (
        "budget: every completed run: 600 optimizer steps, 20 epochs, 76800 samples",
        r"policy: best of 3 policy: at seed 100\x1b",
        f"val/accuracy: {how}",
        "=: too close to the best to call: the 95% interval of the difference, paired by seed, includes 0",
        "not corrected for multiple comparisons (1 here)",
        "runs: 4: 4 completed, 0 diverged, 0 failed",
    ):
        assert part in footer
    assert "caution" not in footer


def test_the_footer_names_what_all_arms_share(make_record):
    records = [make_record(name, arm={"model": "cnn", "optimizer": name}) for name in ("adam", "sgd")]
    assert "common to all arms: model=cnn" in lines(render(records))[2]


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
    assert "caution: val/loss means something else" in lines(render(records, metric="val/loss"))[2]
    same = [make_record(name, arm={"optimizer": name}) for name in ("adam", "sgd")]
    assert "caution" not in lines(render(same, metric="val/loss"))[2]


def test_the_choices_have_a_column_each(make_record):
    records = [
        make_record("a~12", 0, 0.9, arm={"optimizer": "adam"}),
        make_record("a", 0, 0.8, arm={"optimizer": "adam"}),
        make_record("s", 0, 0.7, arm={"optimizer": "sgd", "optimizer.momentum": 0.9}),
    ]
    header, rows, _ = lines(render(records))
    assert header[:3] == ["rank", "optimizer", "optimizer.momentum"]
    assert [row[-10:-8] for row in rows] == [["adam~12", "-"], ["adam", "-"], ["sgd", "0.9"]]


def test_a_change_of_rank_moves_no_column(make_record):
    def header(first, second):
        arms = {"a": ({"loss": "mse"}, first), "b": ({"gamma": 2}, second)}
        records = [make_record(folder, 0, value, arm=arm) for folder, (arm, value) in arms.items()]
        return lines(render(records))[0][:3]

    assert header(0.9, 0.1) == header(0.1, 0.9) == ["rank", "loss", "gamma"]


def test_hostile_names_disturb_nothing(make_record):
    values = ["<script>alert('x')</script>", '"quoted", and\nbroken', "損失\u202e", "\x1b[2Jclear", "a" * 300]
    records = [make_record(f"{i}", 0, 0.9 - i / 10, arm={"key\r": value}) for i, value in enumerate(values)]
    text = render(records, [Problem(Path("sweep/x\x1b/seed=0"), "bad\nreason")])
    assert all(c.isprintable() or c == "\n" for c in text)
    table = text.split("\n\n")[0].splitlines()
    assert len(table) == 2 + len(values)
    assert len({cells_wide(line) for line in table}) == 1
    assert r"key\r" in table[0]
    assert r"\x1b[2Jclear" in table[5]
    assert "aaa…aaa" in table[6]
    assert r"lost: sweep/x\x1b/seed=0: bad\nreason" in text


def test_27_arms_of_3_choices_fit_120_columns(make_record):
    choices = itertools.product(("adam", "rmsprop", "sgd"), ("cross_entropy", "label_smoothing", "mse"), (16, 64, 512))
    records = [
        make_record(f"{o},{loss},{b}", seed, 0.9 + seed / 100, arm={"optimizer": o, "loss": loss, "batch_size": b})
        for o, loss, b in choices
        for seed in range(3)
    ]
    text = render(records)
    assert len(text.split("\n\n")[0].splitlines()) == 29
    assert max(map(cells_wide, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9, "0.9000"),
        (0.0, "0.0000"),
        (-0.25, "-0.2500"),
        (53.21, "53.2100"),
        (2.5e-6, "2.500e-06"),
        (1e9, "1.000e+09"),
    ],
)
def test_numbers_large_and_small(make_record, value, shown):
    _, (row,), _ = lines(render([make_record("a", 0, value)]))
    assert row[2] == shown


def test_no_records_give_an_empty_table(make_record):
    text = render([], [Problem(Path("sweep/a/seed=0"), "no outcome.json")])
    assert lines(text)[1] == []
    assert "runs: 1: 0 completed, 0 diverged, 0 failed, 1 lost" in text


RUN = st.tuples(st.sampled_from(STATUSES), st.floats(0, 1) | st.none())
SWEEPS = st.dictionaries(st.text("ab~,", min_size=1, max_size=3), st.lists(RUN, min_size=1, max_size=4), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sweep=SWEEPS, random=st.randoms())
def test_any_sweep_gives_a_row_an_arm_and_the_order_of_records_changes_nothing(make_record, sweep, random):
    records = [
        make_record(folder, seed, value, status)
        for folder, runs in sweep.items()
        for seed, (status, value) in enumerate(runs)
    ]
    rows = rank_arms(records)
    assert sorted(row.arm.folder for row in rows) == sorted(sweep)
    assert sum(row.counts.total() for row in rows) == len(records)
    for row in rows:
        values = [v for status, v in sweep[row.arm.folder] if status == "completed" and v is not None]
        assert (0 if row.validation is None else row.validation.n) == len(values)
        assert (row.rank is not None) == (len(values) == len(sweep[row.arm.folder]))
    ranked = [row.rank is not None for row in rows]
    assert ranked == sorted(ranked, reverse=True)
    assert render(random.sample(records, len(records))) == render(records)


def test_a_gap_without_spread_is_cautioned(make_record):
    best = [make_record("adam", seed, 0.95 + seed / 100) for seed in range(3)]
    shifted = [make_record("sgd", seed, float(np.float32(0.94 + seed / 100))) for seed in range(3)]
    varied = [make_record("rmsprop", seed, 0.94 - seed / 100) for seed in range(3)]
    assert "caution: 1 arm(s) differ from the best by the same amount" in lines(render([*best, *shifted, *varied]))[2]
    assert "same amount" not in lines(render([*best, *varied]))[2]

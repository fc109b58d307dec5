"""The leaderboard as text."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import t
from wcwidth import wcswidth

from bakeoff.report.leaderboard import render
from bakeoff.report.ranking import rank_arms
from bakeoff.report.records import UnreadableRun
from bakeoff.runs.outcome import STATUSES


def lines(text):
    table, footer = text.split("\n\n")
    header, _, *rows = table.splitlines()
    return header.split(), [row.split() for row in rows], " ".join(footer.split())


def ranks(rows):
    return [(row.arm.folder, row.rank, row.too_close) for row in rows]


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


def test_an_unreadable_run_bars_an_arm_too(make_arm):
    run = UnreadableRun(Path("sweep/star/seed=2"), "outcome.json is empty")
    text = render(make_arm("star", 0.99, 0.99) + make_arm("plain", 0.5, 0.5), [run])
    header, rows, footer = lines(text)
    assert [(row[0], row[1]) for row in rows] == [("1", "plain"), ("-", "star")]
    assert [row[header.index("unreadable")] for row in rows] == ["0", "1"]
    assert "unreadable: sweep/star/seed=2: outcome.json is empty" in footer
    assert "runs: 5: 4 completed, 0 diverged, 0 failed, 1 unreadable" in footer


def test_a_completed_run_without_a_finite_metric_is_no_number_and_is_named(make_record):
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


def test_a_single_seed_has_no_interval_and_calls_nothing(make_arm):
    _, rows, footer = lines(render(make_arm("a", 0.9) + make_arm("b", 0.1)))
    assert [row[:4] for row in rows] == [["1", "a", "0.9000", "0.8900"], ["?", "2", "b", "0.1000"]]
    assert "over 1 seed (no interval)" in footer


def test_unequal_seeds_are_paired_over_those_they_share(make_record):
    best = [make_record("best", seed, 0.9 + 0.001 * seed) for seed in range(5)]
    other = [make_record("other", seed, 0.8 + 0.001 * seed) for seed in (3, 4, 9)]
    alone = [make_record("alone", seed, 0.7) for seed in (10, 11)]
    records = best + other + alone
    # two seeds with the same difference say nothing
    assert ranks(rank_arms(records)) == [("best", 1, False), ("other", 2, True), ("alone", 3, True)]
    footer = lines(render(records))[2]
    assert "over 2 to 5 seeds" in footer
    assert "caution: the arms do not have the same seeds" in footer


@pytest.mark.parametrize("metric", ["accuracy", "top5", "r2"])
def test_higher_is_better_for_the_rest(make_record, metric):
    records = [make_record(str(x), 0, metrics={f"val/{metric}": {"final": x}}) for x in (-0.5, 0.5)]
    rows = rank_arms(records, metric=f"val/{metric}")
    assert [row.arm.folder for row in rows] == ["0.5", "-0.5"]
    assert (
        f"val/{metric}: final value on validation data, higher is better"
        in lines(render(records, metric=f"val/{metric}"))[2]
    )


def test_test_data_chooses_nothing(make_record):
    def record(folder, val, test):
        return make_record(folder, 0, metrics={"val/accuracy": {"final": val}, "test/accuracy": {"final": test}})

    rows = rank_arms([record("a", 0.9, 0.1), record("b", 0.8, 0.99)])
    assert [row.arm.folder for row in rows] == ["a", "b"]
    assert "test data chose nothing" in lines(render([record("a", 0.9, 0.1)]))[2]


def test_each_choice_has_a_column(make_record):
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
    text = render(records, [UnreadableRun(Path("sweep/x\x1b/seed=0"), "bad\nreason")])
    assert all(c.isprintable() or c == "\n" for c in text)
    table = text.split("\n\n")[0].splitlines()
    assert len(table) == 2 + len(values)
    assert len({wcswidth(line) for line in table}) == 1
    assert r"key\r" in table[0]
    assert r"\x1b[2Jclear" in table[5]
    assert "aaa…aaa" in table[6]
    assert r"unreadable: sweep/x\x1b/seed=0: bad\nreason" in text


def test_27_arms_of_3_choices_fit_120_columns(make_record):
    choices = itertools.product(("adam", "rmsprop", "sgd"), ("cross_entropy", "label_smoothing", "mse"), (16, 64, 512))
    records = [
        make_record(f"{o},{loss},{b}", seed, 0.9 + seed / 100, arm={"optimizer": o, "loss": loss, "batch_size": b})
        for o, loss, b in choices
        for seed in range(3)
    ]
    text = render(records)
    assert len(text.split("\n\n")[0].splitlines()) == 29
    assert max(map(wcswidth, text.splitlines())) <= 120


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
    text = render([], [UnreadableRun(Path("sweep/a/seed=0"), "no outcome.json")])
    assert lines(text)[1] == []
    assert "runs: 1: 0 completed, 0 diverged, 0 failed, 1 unreadable" in text


RUN = st.tuples(st.sampled_from(STATUSES), st.floats(0, 1) | st.none())
SWEEPS = st.dictionaries(st.text("ab~,", min_size=1, max_size=3), st.lists(RUN, min_size=1, max_size=4), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sweep=SWEEPS, random=st.randoms())
def test_any_sweep_gives_a_row_for_each_arm_and_the_order_of_records_changes_nothing(make_record, sweep, random):
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

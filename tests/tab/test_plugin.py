"""What the tab is answered over HTTP, against numbers computed another way from the same event files and records."""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.base_plugin import TBContext
from werkzeug import Request
from werkzeug.test import Client

from bakeoff.runs.lease import acquire
from bakeoff.stats import compare_arms
from bakeoff.tab.plugin import BakeoffPlugin
from bakeoff.tensorboard import EventFile


def plugin(logdir):
    return BakeoffPlugin(TBContext(logdir=str(logdir)))


def ask(logdir_or_plugin, route, code=200, **args):
    """The JSON of one route, asked for as a browser does."""
    ours = logdir_or_plugin if isinstance(logdir_or_plugin, BakeoffPlugin) else plugin(logdir_or_plugin)
    apps = ours.get_plugin_apps()

    @Request.application
    def application(request):
        return apps[request.path]

    answer = Client(application).get(f"/{route}", query_string=args)
    assert answer.status_code == code, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    return json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture(scope="module")
def runs(small_sweep):
    """Arm folder -> seed -> (outcome, tag -> [(step, value)]), by TensorBoard's own reader, without its limit."""
    found = {}
    for path in small_sweep.glob("*/seed=*/outcome.json"):
        events = EventAccumulator(str(path.parent), size_guidance={"scalars": 0})
        events.Reload()
        curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        outcome = json.loads(path.read_text())
        found.setdefault(path.parent.parent.name, {})[outcome["seed"]] = outcome, curves
    assert len(found) == 8
    return found


def test_the_sweep_is_found_from_above_and_by_itself(small_sweep):
    assert ask(small_sweep.parent, "sweeps") == {"sweeps": [{"name": "small", "title": "small", "runs": 16}]}
    assert ask(small_sweep, "sweeps") == {"sweeps": [{"name": ".", "title": "small", "runs": 16}]}
    assert plugin(small_sweep).is_active()


def test_numbers_that_differ_are_those_of_the_arms(small_sweep, runs):
    numbers = {entry["key"]: entry["arms"] for entry in ask(small_sweep, "sweep", sweep=".")["numbers"]}
    assert set(numbers) == {"samples_per_step", "optimizer.lr"}  # each optimizer has a default of its own
    expected = {arm: 16.0 if seeds[0][0]["arm"]["batch_size"] == 16 else 1077.0 for arm, seeds in runs.items()}
    assert numbers["samples_per_step"] == expected


def test_choices_arms_and_runs_are_those_of_the_records(small_sweep, runs):
    sweep = ask(small_sweep.parent, "sweep", sweep="small")
    assert {choice["key"]: (choice["type"], choice["values"]) for choice in sweep["choices"]} == {
        "optimizer": ("text", ["adam", "sgd"]),
        "loss": ("text", ["cross_entropy", "mse"]),
        "batch_size": ("text", ["16", "full"]),
    }
    assert sweep["default_metric"] == "val/accuracy"
    assert {entry["key"]: entry["value"] for entry in sweep["common"]}["budget.steps"] == "60"
    assert {arm["id"] for arm in sweep["arms"]} == set(runs)
    for arm in sweep["arms"]:
        assert arm["choices"]["batch_size"] in ("16", "full")
        for run in arm["runs"]:
            outcome, _ = runs[arm["id"]][run["seed"]]
            assert run["run"] == f"small/{arm['id']}/seed={run['seed']}"
            assert (run["status"], run["metrics"]) == (outcome["status"], outcome["metrics"])


@pytest.mark.parametrize("value", ["final", "best"])
@pytest.mark.parametrize("metric", ["val/accuracy", "val/loss", "train/loss"])
def test_the_table_agrees_with_scipy(small_sweep, runs, metric, value):
    rows = ask(small_sweep, "table", sweep=".", metric=metric, value=value)["rows"]
    assert len(rows) == len(runs)
    for row in rows:
        numbers = [outcome["metrics"][metric][value] for outcome, _ in runs[row["arm"]].values()]
        assert row["n"] == row["counts"]["completed"] == 2
        assert row["mean"] == pytest.approx(statistics.fmean(numbers))
        if len(set(numbers)) > 1:
            interval = ttest_1samp(numbers, 0).confidence_interval(0.95)
            assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["best"] == (max if metric == "val/accuracy" else min)(numbers)
        assert row["seconds"] == pytest.approx(
            statistics.fmean(outcome["seconds"] for outcome, _ in runs[row["arm"]].values())
        )


def test_ranks_and_close_calls_agree_with_the_statistics_of_all_pairs(small_sweep, runs):
    rows = ask(small_sweep, "table", sweep=".", metric="val/nll")["rows"]
    finals = {arm: [seeds[s][0]["metrics"]["val/nll"]["final"] for s in sorted(seeds)] for arm, seeds in runs.items()}
    order = sorted(finals, key=lambda arm: statistics.fmean(finals[arm]))
    assert [row["arm"] for row in sorted(rows, key=lambda row: row["rank"])] == order
    best = compare_arms({arm: {seed: -value for seed, value in enumerate(found)} for arm, found in finals.items()}).best
    for row in rows:
        if row["rank"] > 1:
            assert row["too_close"] == (row["arm"] in best)
            assert row["shared_seeds"] == 2
    best = ask(small_sweep, "table", sweep=".", metric="val/nll", value="best")["rows"]
    assert {row["rank"] for row in best} == {None}  # only final values rank


@pytest.mark.parametrize("metric", ["val/accuracy", "train/loss"])
def test_bands_are_those_of_the_full_event_files(small_sweep, runs, metric):
    answer = ask(small_sweep, "curves", sweep=".", metric=metric, axis="steps")
    assert answer["missing"] == []
    assert {arm["arm"] for arm in answer["arms"]} == set(runs)
    for arm in answer["arms"]:
        first, second = (curves[metric] for _, curves in runs[arm["arm"]].values())
        assert arm["x"] == [step for step, _ in first] == [step for step, _ in second]
        pairs = [(a, b) for (_, a), (_, b) in zip(first, second, strict=True)]
        np.testing.assert_allclose(arm["mean"], [(a + b) / 2 for a, b in pairs], rtol=1e-15)
        # of the 4 resamples of 2 values, 1 in 4 has either extreme, which is more than 2.5%
        assert (arm["low"], arm["high"]) == ([min(p) for p in pairs], [max(p) for p in pairs])
        assert set(arm["n"]) == {2}


def test_samples_and_epochs_are_those_that_the_step_has_seen(small_sweep, runs):
    n_train = 1437 - 360  # digits: 1797 images, a fifth for testing, a fifth for validation
    for axis in ("samples", "epochs"):
        for arm in ask(small_sweep, "curves", sweep=".", metric="val/accuracy", axis=axis)["arms"]:
            outcome, curves = next(iter(runs[arm["arm"]].values()))
            batch = n_train if outcome["arm"]["batch_size"] == "full" else outcome["arm"]["batch_size"]
            per_epoch = math.ceil(n_train / batch)
            for x, (step, _) in zip(arm["x"], curves["val/accuracy"], strict=True):
                epochs, rest = divmod(step, per_epoch)
                samples = epochs * n_train + min(rest * batch, n_train)
                assert x == pytest.approx(samples if axis == "samples" else step / per_epoch)


def test_seconds_rise_and_end_within_the_run(small_sweep, runs):
    for arm in ask(small_sweep, "curves", sweep=".", metric="train/loss", axis="seconds")["arms"]:
        longest = max(outcome["seconds"] for outcome, _ in runs[arm["arm"]].values())
        assert arm["x"] == sorted(arm["x"])
        assert 0 < arm["x"][0] < arm["x"][-1] < longest


def test_single_seeds_are_their_event_files(small_sweep, runs):
    answer = ask(small_sweep, "seeds", sweep=".", metric="val/loss", axis="steps")
    assert len(answer["runs"]) == 16
    for run in answer["runs"]:
        points = runs[run["arm"]][run["seed"]][1]["val/loss"]
        assert list(zip(run["x"], run["y"], strict=True)) == points
    arm = answer["runs"][0]["arm"]
    alone = ask(small_sweep, "seeds", sweep=".", metric="val/loss", axis="steps", arm=arm)["runs"]
    assert [run["arm"] for run in alone] == [arm, arm]


def test_every_point_is_there_where_tensorboard_would_keep_a_thousand(tmp_path, small_sweep):
    folder = tmp_path / "sweep" / "default"
    shutil.copytree(next(small_sweep.glob("*/seed=0")), folder / "seed=0")
    for old in (folder / "seed=0").glob("events.*"):
        old.unlink()
    file = EventFile(folder / "seed=0")
    for step in range(5000):
        file.scalars({"val/loss": step / 4}, step)
    file.close()
    (arm,) = ask(tmp_path, "curves", sweep="sweep", metric="val/loss", axis="steps")["arms"]
    assert arm["mean"] == [step / 4 for step in range(5000)]
    assert arm["low"] == [None] * 5000  # one seed has no interval


def test_a_run_says_how_it_is_repeated(small_sweep, runs):
    arm = next(iter(runs))
    answer = ask(small_sweep, "runs", sweep=".", arm=arm)
    assert [run["seed"] for run in answer["runs"]] == [0, 1]
    for run in answer["runs"]:
        assert run["command"].startswith("bakeoff ")
        assert set(run["command"].split()[1:]) == set(runs[arm][run["seed"]][0]["overrides"])
        assert "optimizer:" in run["config"]
        assert run["settings"]["optimizer"] in ("adam", "sgd")
        assert run["settings"]["optimizer.lr"] > 0


def test_the_version_changes_with_every_run_and_otherwise_not(tmp_path, small_sweep):
    sweep = tmp_path / "sweep"
    shutil.copytree(small_sweep, sweep)
    ours = plugin(tmp_path)
    before = ask(ours, "version", sweep="sweep")
    assert ask(ours, "version", sweep="sweep") == before
    assert ask(ours, "sweep", sweep="sweep")["version"] == before["version"]
    run = next(sweep.glob("*/seed=0"))
    outcome = json.loads((run / "outcome.json").read_text())
    outcome |= {"status": "failed", "error": {"type": "E", "message": "no", "step": 3, "traceback": None}}
    (run / "outcome.json").write_text(json.dumps(outcome))
    assert ask(ours, "version", sweep="sweep") != before
    (row,) = [r for r in ask(ours, "table", sweep="sweep", metric="val/loss")["rows"] if r["arm"] == run.parent.name]
    assert (row["counts"]["failed"], row["n"], row["rank"], row["low"]) == (1, 1, None, None)


HOLDER = """
import sys
from pathlib import Path
from bakeoff.runs.lease import acquire
print(acquire(Path(sys.argv[1])).number, flush=True)
sys.stdin.read()
"""


def test_a_run_is_running_no_longer_than_its_process(tmp_path, small_sweep):
    """The process is killed, and no file changes; then another takes the run over."""
    sweep = tmp_path / "sweep"
    shutil.copytree(small_sweep, sweep)
    run = next(sweep.glob("*/seed=0"))
    ours = plugin(tmp_path)

    def seen():
        answer = ask(ours, "sweep", sweep="sweep")
        assert ask(ours, "version", sweep="sweep") == {"version": answer["version"]}
        found = {r["run"]: r["status"] for arm in answer["arms"] for r in arm["runs"]}
        return found[f"sweep/{run.parent.name}/seed=0"], answer["version"]

    outcome = json.loads((run / "outcome.json").read_text())
    (run / "outcome.json").write_text(json.dumps(outcome | {"status": "running"}))
    command = [sys.executable, "-c", HOLDER, run]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "0\n"
        alive = seen()
        assert alive[0] == "running"
        os.utime(run / "lease.0")
        assert seen() == alive  # a heartbeat alone draws nothing anew
        before = files(run)
        process.kill()
    assert files(run) == before
    dead = seen()
    assert (dead[0], dead[1] != alive[1]) == ("interrupted", True)
    with acquire(run):
        assert seen()[0] == "running"
    assert seen()[0] == "interrupted"


def files(run):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.iterdir()}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no outcome.json"), ('{"schema": 1', "not valid JSON"), ("", "empty")],
    ids=["none", "half", "empty"],
)
def test_a_run_that_cannot_be_read_is_named_and_the_rest_is_shown(tmp_path, small_sweep, content, reason):
    sweep = tmp_path / "sweep"
    shutil.copytree(small_sweep, sweep)
    run = next(sweep.glob("*/seed=0"))
    (run / "outcome.json").unlink()
    if content is not None:
        (run / "outcome.json").write_text(content)
    answer = ask(tmp_path, "sweep", sweep="sweep")
    (unreadable,) = answer["unreadable"]
    assert unreadable["run"] == f"sweep/{run.parent.name}/seed=0"
    assert reason in unreadable["reason"]
    assert sum(len(arm["runs"]) for arm in answer["arms"]) == 15
    row = next(
        r for r in ask(tmp_path, "table", sweep="sweep", metric="val/loss")["rows"] if r["arm"] == run.parent.name
    )
    assert (row["counts"]["unreadable"], row["rank"]) == (1, None)


def test_an_arm_without_a_curve_says_why(tmp_path, small_sweep):
    sweep = tmp_path / "sweep"
    shutil.copytree(small_sweep, sweep)
    cut, gone, *_ = sorted(sweep.glob("*=*"))
    for run in cut.glob("seed=*"):
        for path in run.glob("events.*"):
            path.write_bytes(path.read_bytes()[:20])
    for path in gone.glob("seed=0/events.*"):
        path.unlink()
    answer = ask(tmp_path, "curves", sweep="sweep", metric="val/loss", axis="steps")
    assert answer["missing"] == [
        {"arm": cut.name, "reason": "no curve of val/loss in its event files"},
        {"run": f"{gone.name}/seed=0", "reason": "its event files end at step 0 of 60"},
    ]
    counts = {arm["arm"]: set(arm["n"]) for arm in answer["arms"]}
    assert counts[gone.name] == {1}


def test_a_running_regression_opens_on_a_metric_that_it_has(tmp_path, small_sweep):
    run = tmp_path / "sweep" / "default" / "seed=0"
    shutil.copytree(next(small_sweep.glob("*/seed=0")), run)
    for old in run.glob("events.*"):
        old.unlink()
    file = EventFile(run)
    file.scalars({"val/rmse": 50.0, "val/mae": 40.0}, 10)
    file.close()
    outcome = json.loads((run / "outcome.json").read_text()) | {"status": "running", "metrics": {}}
    (run / "outcome.json").write_text(json.dumps(outcome))
    with acquire(run):
        answer = ask(tmp_path, "sweep", sweep="sweep")
    assert [r["status"] for arm in answer["arms"] for r in arm["runs"]] == ["running"]
    assert answer["default_metric"] in ("val/rmse", "val/mae")
    assert [metric["name"] for metric in answer["metrics"]] == ["val/mae", "val/rmse"]


def test_a_sweep_opens_on_the_metric_that_ranks_it(tmp_path, small_sweep):
    shutil.copytree(small_sweep, tmp_path / "sweep")

    def state(metric):
        for path in (tmp_path / "sweep").glob("*/seed=*/outcome.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"metric": metric}))

    state("val/nll")
    assert ask(tmp_path, "sweep", sweep="sweep")["default_metric"] == "val/nll"
    state(None)  # as runs wrote it that stated no direction: their configuration says it
    for config in (tmp_path / "sweep").glob("*/seed=*/.hydra/config.yaml"):
        config.write_text(config.read_text().replace("metric: val/accuracy", "metric: val/ece"))
    assert ask(tmp_path, "sweep", sweep="sweep")["default_metric"] == "val/ece"
    for config in (tmp_path / "sweep").glob("*/seed=*/.hydra/config.yaml"):
        config.write_text("{not yaml")
    assert ask(tmp_path, "sweep", sweep="sweep")["default_metric"] == "val/accuracy"


def test_the_command_names_a_users_own_folder_of_configurations(tmp_path, small_sweep):
    shutil.copytree(small_sweep, tmp_path / "sweep")
    run = next((tmp_path / "sweep").glob("*/seed=0"))
    hydra = run / ".hydra" / "hydra.yaml"
    source = "    - path: /home/me/my conf\n      schema: file\n      provider: command-line\n"
    hydra.write_text(hydra.read_text().replace("    config_sources:\n", f"    config_sources:\n{source}"))
    answer = ask(tmp_path, "runs", sweep="sweep", arm=run.parent.name)["runs"]
    assert answer[0]["command"].startswith("bakeoff '--config-dir=/home/me/my conf' ")
    assert answer[1]["command"].startswith("bakeoff optimizer=")


def test_files_that_are_folders_and_runs_that_vanish_leave_the_rest(tmp_path, small_sweep):
    sweep = tmp_path / "sweep"
    shutil.copytree(small_sweep, sweep)
    first, second, *_ = sorted(sweep.glob("*/seed=0"))
    for path in first.glob("events.*"):
        path.unlink()
        path.mkdir()
    ours = plugin(tmp_path)
    assert len(ask(ours, "curves", sweep="sweep", metric="val/loss", axis="steps")["arms"]) == 8
    assert ask(ours, "runs", sweep="sweep", arm=first.parent.name)["runs"][0]["settings"] == {}
    shutil.rmtree(second)
    (sweep / "tuning_note.txt").write_text("tuned by hand")
    assert ask(ours, "sweep", sweep="sweep")["tuning_note"] == "tuned by hand"
    (sweep / "tuning_note.txt").unlink()
    (sweep / "tuning_note.txt").mkdir()
    assert sum(len(arm["runs"]) for arm in ask(ours, "sweep", sweep="sweep")["arms"]) == 15


def test_nothing_of_ours_is_no_error(tmp_path):
    assert not plugin(tmp_path).is_active()
    assert not plugin(tmp_path / "missing").is_active()
    assert ask(tmp_path, "sweeps") == {"sweeps": []}
    other = EventFile(tmp_path / "somebody" / "else")
    other.scalars({"loss": 1.0}, 1)
    other.close()
    assert not plugin(tmp_path).is_active()


def test_bad_questions_are_answered_in_words(small_sweep):
    def error(route, **args):
        return ask(small_sweep, route, code=400, **args)["error"]

    assert "no sweep ../.." in error("sweep", sweep="../..")
    assert "no sweep nope" in error("version", sweep="nope")
    assert "sweep=... is missing" in error("curves", metric="val/loss")
    assert "metric=... is missing" in error("curves", sweep=".")
    assert "axis must be one of" in error("curves", sweep=".", metric="val/loss", axis="furlongs")
    assert "value must be final or best" in error("table", sweep=".", metric="val/loss", value="worst")
    assert "no run has" in error("table", sweep=".", metric="val/nonsense")


def test_hostile_names_are_plain_text_in_json(tmp_path, small_sweep):
    arm = {"optimizer": '<script>alert("x")</script>', "loss": "größe & 'co'", "n": 1}
    for number, value in enumerate((arm, {**arm, "n": "one"})):
        run = tmp_path / "a sweep" / f"arm {number} <b>" / "seed=0"
        shutil.copytree(next(small_sweep.glob("*/seed=0")), run)
        outcome = json.loads((run / "outcome.json").read_text()) | {"arm": value, "overrides": ["x=$(rm -rf) '"]}
        (run / "outcome.json").write_text(json.dumps(outcome))
    answer = ask(tmp_path, "sweep", sweep="a sweep")
    (choice,) = answer["choices"]
    assert choice == {"key": "n", "type": "text", "values": ["1", "one"]}  # text and numbers share none
    assert {entry["key"] for entry in answer["common"]} == {"optimizer", "loss"}
    (run,) = ask(tmp_path, "runs", sweep="a sweep", arm="arm 0 <b>")["runs"]
    assert run["command"] == "bakeoff 'x=$(rm -rf) '\"'\"''"

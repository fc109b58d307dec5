import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.report.command import main
from bakeoff.report.records import read_sweep
from bakeoff.report.runs_csv import runs_csv


@pytest.fixture
def sweep(write_run, tmp_path):
    for seed in range(2):
        write_run("optimizer=adam", seed, accuracy=0.9 + seed / 100, arm={"optimizer": "adam", "note": 'a "b",\nc'})
        write_run("optimizer=sgd", seed, accuracy=0.8, arm={"optimizer": "sgd", "optimizer.lr": 0.1})
    write_run("optimizer=sgd", 2, accuracy=None, status="diverged", arm={"optimizer": "sgd", "optimizer.lr": 0.1})
    return tmp_path


def stderr_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_prints_the_leaderboard(sweep, capsys):
    (sweep / "tuning_note.txt").write_text("one learning rate for all\n")
    assert main([str(sweep)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].split()[:2] == ["1", "adam"]
    assert "tuning note: one learning rate for all\n" in captured.out
    assert captured.err == ""


def test_ranks_by_the_metric_asked_for(sweep, capsys):
    assert main([str(sweep), "--metric", "val/loss"]) == 0
    assert "val/loss: final value on validation data, lower is better" in capsys.readouterr().out


def test_a_broken_run_is_named_and_the_rest_is_shown(sweep, write_run, capsys):
    write_run("optimizer=adam", 7, content="{")
    assert main([str(sweep)]) == 0
    out = capsys.readouterr().out
    assert f"unreadable: {sweep}/optimizer=adam/seed=7: outcome.json is not valid JSON" in " ".join(out.split())
    assert main([str(sweep), "--csv"]) == 0
    captured = capsys.readouterr()
    assert f"bakeoff-report: unreadable: {sweep}/optimizer=adam/seed=7: " in captured.err
    assert len(list(csv.reader(io.StringIO(captured.out)))) == 6


def test_a_missing_folder(tmp_path, capsys):
    assert main([str(tmp_path / "no\nwhere")]) == 2
    assert stderr_line(capsys) == rf"bakeoff-report: no such folder: {tmp_path}/no\nwhere"


def test_a_folder_without_runs(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f"no runs in {tmp_path}: a sweep folder holds <arm>/seed=<n>/outcome.json" in stderr_line(capsys)


def test_the_folder_above_the_sweeps_names_them(write_run, tmp_path, capsys):
    write_run("main/default")
    write_run("other/default")
    assert main([str(tmp_path)]) == 2
    assert stderr_line(capsys).endswith(f"did you mean {tmp_path}/main or {tmp_path}/other?")


def test_an_unknown_metric(sweep, capsys):
    assert main([str(sweep), "--metric", "val/acc"]) == 2
    line = stderr_line(capsys)
    assert "no run has the metric val/acc (did you mean val/accuracy?)" in line
    assert "val/accuracy, val/loss" in line


def test_a_folder_that_may_not_be_read_is_one_line(sweep, capsys, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", "tuning_note.txt")

    (sweep / "tuning_note.txt").write_text("x")
    monkeypatch.setattr(Path, "read_text", refuse)
    assert main([str(sweep)]) == 2
    assert "Permission denied" in stderr_line(capsys)


def test_no_folder_given_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "usage: bakeoff-report" in capsys.readouterr().err


def test_csv_has_a_row_for_each_run_with_exact_values(sweep, capsys):
    assert main([str(sweep), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    records = read_sweep(sweep).records
    assert [(row["folder"], int(row["seed"])) for row in rows] == [(r.folder, r.seed) for r in records]
    for row, record in zip(rows, records, strict=True):
        assert row["status"] == record.status
        assert row["val/accuracy"] == ("" if (final := record.final("val/accuracy")) is None else repr(final))
    first, last = rows[0], rows[-1]
    assert (first["optimizer"], first["note"], first["optimizer.lr"]) == ("adam", 'a "b",\nc', "")
    assert (last["optimizer.lr"], last["note"], last["error type"], last["error message"]) == (
        "0.1",
        "",
        "ValueError",
        "no",
    )
    assert (first["val/accuracy best"], first["val/accuracy best_step"], first["error type"]) == (
        "0.9",
        "500",
        "",
    )
    names = list(first)
    assert names.index("val/accuracy") + 1 == names.index("val/accuracy best")


def test_csv_keeps_a_choice_named_like_a_field(make_record):
    header, row = csv.reader(io.StringIO(runs_csv([make_record("a", arm={"steps": "many"})])))
    assert [row[i] for i, name in enumerate(header) if name == "steps"] == ["600", "many"]


def run_python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_a_report_needs_no_torch_and_no_lightning(sweep):
    code = """
import sys
for name in ("torch", "lightning", "torchvision", "sklearn"):
    sys.modules[name] = None  # any import of it fails
import pkgutil, importlib, bakeoff.report
for module in pkgutil.iter_modules(bakeoff.report.__path__, "bakeoff.report."):
    importlib.import_module(module.name)
from bakeoff.report.command import main
from bakeoff.report.curves import read_curves
assert read_curves(__import__("pathlib").Path(sys.argv[1])) == {}
sys.exit(main(sys.argv[1:]))
"""
    done = run_python(code, sweep)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optimizer" in done.stdout


def test_a_terminal_without_unicode_gets_escapes(sweep):
    code = "import sys; from bakeoff.report.command import main; sys.exit(main(sys.argv[1:]))"
    done = run_python(code, sweep, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"0.9050\xb1" in done.stdout


def test_a_reader_that_stops_early_is_no_error(write_run, tmp_path):
    write_run("default", arm={"note": "x" * 1_000_000})  # more than a pipe holds
    code = "import sys; from bakeoff.report.command import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(tmp_path), "--csv"]
    # unbuffered, Python takes a short write to a closed pipe for a whole one, and there is nothing to test
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.fixture
def own_metric(write_run, tmp_path):
    """Two arms with a metric of a user's own: case "9.7 ranked above 1.4, 'higher is better'"."""

    def write(**fields):
        for optimizer, value in (("adam", 9.7), ("sgd", 1.4)):
            metrics = {"val/perplexity": {"final": value}}
            write_run(optimizer, arm={"optimizer": optimizer}, metrics=metrics, metric="val/perplexity", **fields)
        return tmp_path

    return write


def first_arm(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    rows = capsys.readouterr().out.rpartition("\nrank")[2].splitlines()
    return rows[2].split()[1]


def test_the_direction_of_an_own_metric_is_asked_for(own_metric, capsys):
    sweep = own_metric()
    assert main([str(sweep), "--metric", "val/perplexity"]) == 2
    assert stderr_line(capsys) == (
        "bakeoff-report: it is not known whether val/perplexity is better small or large; give --direction min or "
        "--direction max, or train with metric=val/perplexity metric_direction=min or max"
    )
    assert first_arm(capsys, sweep, "--metric", "val/perplexity", "--direction", "min") == "sgd"
    assert first_arm(capsys, sweep, "--metric", "val/perplexity", "--direction", "max") == "adam"
    with pytest.raises(SystemExit):
        main([str(sweep), "--metric", "val/perplexity", "--direction", "down"])
    assert "invalid choice: 'down'" in capsys.readouterr().err


def test_the_direction_that_the_runs_state_is_taken(own_metric, capsys):
    sweep = own_metric(metric_direction="min")
    assert first_arm(capsys, sweep, "--metric", "val/perplexity") == "sgd"
    assert main([str(sweep), "--metric", "val/perplexity"]) == 0
    assert "val/perplexity: final value on validation data, lower is better" in capsys.readouterr().out
    assert main([str(sweep), "--csv"]) == 0
    assert "best" not in capsys.readouterr().out


def test_runs_that_disagree_are_one_line(own_metric, write_run, capsys):
    sweep = own_metric(metric_direction="min")
    write_run("rmsprop", metrics={"val/perplexity": {"final": 2.0}}, metric="val/perplexity", metric_direction="max")
    assert main([str(sweep), "--metric", "val/perplexity"]) == 2
    assert "the runs disagree whether val/perplexity is better small or large; give --direction" in stderr_line(capsys)

"""`bakeoff-runs`, against what the records were written with."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from bakeoff.report.runs_command import main
from bakeoff.runs.lease import acquire

TRACE = 'Traceback (most recent call last):\n  File "mine.py", line 3, in forward\nRuntimeError: boom\n'
FAILED = {"type": "RuntimeError", "message": "boom\nand more", "step": 7, "traceback": TRACE}
DIVERGED = {"type": "Divergence", "message": "train/loss is nan", "step": 40, "traceback": None}


@pytest.fixture
def sweep(write_run, tmp_path):
    """3 arms, of which one leaves the optimizer at its default; one run failed, one diverged, one was killed."""

    def write(folder, arm, seed, *given, **fields):
        overrides = [*(f"{key}={value}" for key, value in arm.items()), f"seed={seed}", *given]
        write_run(folder, seed, arm=arm, overrides=overrides, **fields)

    adam = {"optimizer": "adam", "optimizer.lr": 0.01, "batch_size": "full"}
    sgd = {"optimizer": "sgd", "optimizer.lr": 1, "batch_size": 16}
    write("a", adam, 0, accuracy=0.91, seconds=3.25)
    write("a", adam, 1, accuracy=0.93, seconds=1.0, host="gpu-3", process=77)
    write("b", sgd, 0, accuracy=0.95, seconds=2.0)
    write("b", sgd, 1, status="failed", error=FAILED, metrics={}, steps=6)
    write("c", {"batch_size": 16}, 0, accuracy=None, status="diverged", error=DIVERGED)
    write("c", {"batch_size": 16}, 1, status="running", metrics={}, steps=0, seconds=0, ended=None)
    return tmp_path


def output_of(capsys, *arguments, status=0):
    """stdout, or what stands on stderr where the command is refused."""
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    if status:
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return line
    assert captured.err == ""
    return captured.out


def picked(capsys, sweep, *arguments):
    """(folder, seed) of the runs that the arguments pick."""
    text = output_of(capsys, sweep, *arguments, "--csv")
    return [(row["folder"], int(row["seed"])) for row in csv.DictReader(io.StringIO(text))]


# the errors stand in lines of their own here, and nowhere else
TABLE = """\
optimizer  optimizer.lr  batch_size  seed  status       val/accuracy  steps  seconds\
  error
────────────────────────────────────────────────────────────────────────────────────\
──────────────────────────────────────────
adam       0.01          full           0  completed          0.9100    600      3.2
adam       0.01          full           1  completed          0.9300    600      1.0
sgd        1             16             0  completed          0.9500    600      2.0
sgd        1             16             1  failed                  -      6      1.5\
  RuntimeError: boom (step 7)
-          -             16             0  diverged                -    600      1.5\
  Divergence: train/loss is nan (step 40)
-          -             16             1  interrupted             -      -        -\
  ProcessDied: its pr…mand again to resume

runs: 6: 3 completed, 1 diverged, 1 failed, 1 interrupted
"""


def test_one_row_for_each_run_by_arm_and_seed(sweep, capsys):
    assert output_of(capsys, sweep) == TABLE


def test_a_running_run_says_how_far_it_is(sweep, capsys, monkeypatch):
    monkeypatch.setattr("bakeoff.runs.lease.HEARTBEAT_INTERVAL", 0.01)
    with acquire(sweep / "c" / "seed=1") as lease:
        lease.start_heartbeat(lambda: 0.43)
        deadline = time.monotonic() + 60
        while "running 43%" not in (text := output_of(capsys, sweep)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert text.splitlines()[-1].endswith("1 failed, 1 running")
        assert picked(capsys, sweep, "status=running") == [("c", 1)]
        assert output_of(capsys, sweep, "status=running").split("\n\n")[1].startswith("runs: 1: ")


FILTERS = {
    "optimizer=adam": "a0 a1",
    "optimizer=sgd,adam": "a0 a1 b0 b1",
    "optimizer!=adam": "b0 b1 c0 c1",
    "optimizer!=adam,sgd": "c0 c1",
    "optimizer=-": "c0 c1",
    "optimizer.lr=1e-2": "a0 a1",
    "optimizer.lr=0.010": "a0 a1",
    "optimizer.lr=1.0": "b0 b1",
    "batch_size=full": "a0 a1",
    "batch_size=full,16": "a0 a1 b0 b1 c0 c1",
    "batch_size='16'": "b0 b1 c0 c1",
    "+optimizer=adam": "a0 a1",
    "seed=0": "a0 b0 c0",
    "seed=range(0,2)": "a0 a1 b0 b1 c0 c1",
    "seed!=0": "a1 b1 c1",
    "status=failed": "b1",
    "status=failed,diverged": "b1 c0",
    "status=interrupted": "c1",
    "status=running": "",
    "optimizer=adam seed=1": "a1",
    "optimizer=adam status=diverged": "",
}


@pytest.mark.parametrize(("filters", "expected"), FILTERS.items(), ids=FILTERS)
def test_filters_pick(sweep, capsys, filters, expected):
    found = picked(capsys, sweep, *filters.split())
    assert [f"{folder}{seed}" for folder, seed in found] == expected.split()


def test_a_choice_that_is_a_list(write_run, tmp_path, capsys):
    write_run("a", arm={"betas": [0.9, 0.99], "names": ["x", "y"]})
    write_run("b", arm={"betas": [0.5, 0.99], "names": ["z"]})
    assert picked(capsys, tmp_path, "betas=[0.9,0.99]") == [("a", 0)]
    assert picked(capsys, tmp_path, "betas=[9e-1, 0.990]") == [("a", 0)]
    assert picked(capsys, tmp_path, 'names=["x","y"],["z"]') == [("a", 0), ("b", 0)]


def test_what_is_picked_is_counted_beside_the_whole(sweep, capsys):
    text = output_of(capsys, sweep, "optimizer=adam", "status=diverged")
    assert text.splitlines()[-1] == "runs: 0: 0 completed, 0 diverged, 0 failed; in the whole sweep 6"
    # the columns are those of the whole sweep, though all that is picked is alike
    assert output_of(capsys, sweep, "seed=1", "optimizer=adam").split()[:3] == [
        "optimizer",
        "optimizer.lr",
        "batch_size",
    ]


REFUSED = {
    "optimizer": "a filter must be key=value or key!=value, got optimizer",
    "=adam": "a filter must be key=value or key!=value, got =adam",
    "optimzer=adam": "no run has a choice optimzer (did you mean optimizer?); there are seed, status, optimizer,",
    "lr=1": "no run has a choice lr (did you mean optimizer.lr?)",
    "loss=mse": "no run has a choice loss; there are seed, status, optimizer, optimizer.lr, batch_size",
    "optimizer=adm": "no run has optimizer=adm (did you mean adam?); there are - (left at its default), adam, sgd",
    "optimizer=sgd,adm": "no run has optimizer=adm (did you mean adam?)",
    "optimizer!=adm": "no run has optimizer=adm (did you mean adam?)",
    "optimizer.lr=0.02": "no run has optimizer.lr=0.02",
    "optimizer.lr=true": "no run has optimizer.lr=true",
    "seed=7": "no run has seed=7; there are 0, 1",
    "status=fialed": "no run has status=fialed (did you mean failed?)",
    "optimizer=\x1b[31m": r"no run has optimizer=\x1b[31m",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=map(repr, REFUSED))
def test_a_filter_that_picks_nothing_by_mistake_is_one_line(sweep, capsys, text, message):
    assert output_of(capsys, sweep, text, status=2).startswith(f"bakeoff-runs: {message}")


def test_many_values_are_not_all_named(write_run, tmp_path, capsys):
    for number in range(40):
        write_run(str(number), arm={"x": number})
    line = output_of(capsys, tmp_path, "x=99", status=2)
    assert line.endswith("there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 28 more")


SORTED = {
    "metric": "b0 a1 a0 b1 c0 c1",
    "seconds": "c1 a1 b1 c0 b0 a0",
    "status": "a0 a1 b0 c0 b1 c1",
    "seed": "a0 b0 c0 a1 b1 c1",
    "steps": "c1 b1 a0 a1 b0 c0",
    "optimizer.lr": "a0 a1 b0 b1 c0 c1",
    "batch_size": "b0 b1 c0 c1 a0 a1",
    "started": "a0 a1 b0 b1 c0 c1",
}


@pytest.mark.parametrize(("key", "expected"), SORTED.items(), ids=SORTED)
def test_sorted(sweep, capsys, key, expected):
    assert [f"{folder}{seed}" for folder, seed in picked(capsys, sweep, "--sort", key)] == expected.split()


def test_the_best_metric_comes_first_where_lower_is_better(write_run, tmp_path, capsys):
    for seed, loss in enumerate((0.3, 0.1, 0.2)):
        write_run("default", seed, metrics={"val/loss": {"final": loss}})
    assert [seed for _, seed in picked(capsys, tmp_path, "--sort=metric", "--metric=val/loss")] == [1, 2, 0]


def test_an_unknown_order_and_an_unknown_metric(sweep, capsys):
    assert "cannot sort by secs (did you mean seconds?)" in output_of(capsys, sweep, "--sort", "secs", status=2)
    assert "no run has the metric val/acuracy (did you mean val/accuracy?)" in output_of(
        capsys, sweep, "--metric", "val/acuracy", status=2
    )


def test_any_metric_can_be_shown(sweep, capsys):
    text = output_of(capsys, sweep, "--metric", "test/accuracy", "optimizer=adam")
    assert [line.split()[5] for line in text.splitlines()[2:4]] == ["0.9000", "0.9200"]


def test_a_regression_shows_its_rmse(write_run, tmp_path, capsys):
    write_run("default", metrics={"val/rmse": {"final": 52.5}})
    assert "val/rmse" in (text := output_of(capsys, tmp_path))
    assert "52.5000" in text


def test_a_sweep_of_one_arm_names_it(write_run, tmp_path, capsys):
    write_run("default", 0)
    assert output_of(capsys, tmp_path).splitlines()[2].split()[:3] == ["default", "0", "completed"]


def test_csv_says_when_and_where(sweep, capsys):
    text = output_of(capsys, sweep, "optimizer=adam", "seed=1", "--csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["started"], row["ended"]) == ("2026-11-22T10:00:00Z", "2026-11-22T10:00:02Z")
    assert (row["host"], row["process"], row["val/accuracy"]) == ("gpu-3", "77", "0.93")


def test_errors_are_printed_in_full(sweep, capsys):
    text = output_of(capsys, sweep, "--errors")
    failed, diverged = text.split("\n\n")
    assert failed == f"optimizer=sgd, optimizer.lr=1, batch_size=16, seed=1: failed\n{TRACE}(step 7)"
    assert diverged == "batch_size=16, seed=0: diverged\nDivergence: train/loss is nan\n(step 40)\n"
    assert output_of(capsys, sweep, "--errors", "optimizer=adam") == "no run went wrong\n"


def test_a_disk_that_was_full_is_printed_in_full(write_run, tmp_path, capsys):
    error = {"type": "OSError", "message": "No space left", "step": 9, "traceback": "Traceback of it"}
    write_run("default", status="interrupted", error=error)
    assert "Traceback of it\n(step 9)" in output_of(capsys, tmp_path, "--errors")


def test_one_command_a_line(sweep, capsys):
    text = output_of(capsys, sweep, "--command", "optimizer=adam")
    assert text == (
        "bakeoff optimizer=adam optimizer.lr=0.01 batch_size=full seed=0\n"
        "bakeoff optimizer=adam optimizer.lr=0.01 batch_size=full seed=1\n"
    )
    assert output_of(capsys, sweep, "--command", "status=running") == ""


HOSTILE = ["a=it's", 'b="q, r"', "c=$(rm -rf ~)", "d=x\ny", "e=\x1b[31m\t\\'", "f=größe", "g=*", "h=a b;c&d|e`f`!g", ""]


def test_a_shell_reads_back_what_was_typed(write_run, tmp_path, capsys):
    write_run("default", overrides=HOSTILE)
    text = output_of(capsys, tmp_path, "--command")
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    script = f'bakeoff() {{ {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"; }}\n{text}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == HOSTILE


HYDRA = """hydra:
  job:
    config_name: {name}
  runtime:
    config_sources:
    - path: hydra.conf
      schema: pkg
      provider: hydra
    - path: /home/me/my conf
      schema: file
      provider: {provider}
    - path: ''
      schema: structured
      provider: schema
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HYDRA.format(name="bakeoff", provider="command-line"), "bakeoff '--config-dir=/home/me/my conf' seed=0\n"),
        (HYDRA.format(name="bakeoff", provider="main"), "bakeoff seed=0\n"),
        (HYDRA.format(name="mine", provider="main"), "bakeoff --config-name=mine seed=0\n"),
        ("provider: command-line\n", "bakeoff seed=0\n"),
        ("hydra: 7\nprovider: command-line\n", "bakeoff seed=0\n"),
        ("{not yaml, provider: command-line", "bakeoff seed=0\n"),
        ("\0", "bakeoff seed=0\n"),
    ],
    ids=["folder", "none", "name", "no hydra", "no mapping", "no yaml", "binary"],
)
def test_the_options_of_a_command_are_repeated(write_run, tmp_path, capsys, content, expected):
    run = write_run("default", overrides=["seed=0"])
    (run / ".hydra").mkdir()
    (run / ".hydra" / "hydra.yaml").write_text(content)
    assert output_of(capsys, tmp_path, "--command") == expected


@pytest.mark.slow
def test_a_command_really_repeats_its_run(tmp_path, capsys, monkeypatch):
    """Pasted in the same directory, it trains into the same folder, to the same numbers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my conf" / "loss").mkdir(parents=True)
    (tmp_path / "my conf" / "loss" / "mine.yaml").write_text("_target_: bakeoff.losses.MSE\nk: 3.0\n")
    bakeoff = [sys.executable, "-m", "bakeoff"]
    given = ["budget.steps=10", "trainer.accelerator=cpu", "trainer.threads=1", "sweep=again", "root=here"]
    options = ["--config-dir", "my conf", "-m", "loss=mine,mse", "seed=0,1", 'tuning_note="a, b"', *given]
    subprocess.run([*bakeoff, *options], check=True, capture_output=True)
    run = tmp_path / "here" / "again" / "loss=mine" / "seed=0"
    before = json.loads((run / "outcome.json").read_text())
    command = output_of(capsys, "here/again", "loss=mine", "seed=0", "--command")
    shutil.rmtree(run)  # a finished run is not trained again
    script = f'bakeoff() {{ {shlex.join(bakeoff)} "$@"; }}\n{command}'
    subprocess.run(["bash", "-c", script], check=True, capture_output=True)
    after = json.loads((run / "outcome.json").read_text())
    for same in ("identity", "arm", "seed", "metrics", "steps", "samples"):
        assert after[same] == before[same]
    assert len(list(run.parent.parent.glob("*/seed=*"))) == 4


def test_names_cannot_disturb_a_terminal(write_run, tmp_path, capsys):
    evil = '\x1b[2J\u202e,"\r\n<b>'
    error = {"type": evil, "message": f"{evil}", "step": evil, "traceback": f"one\n{evil}"}
    write_run("a", arm={evil: evil, "name": 'x, "y"'}, status="failed", error=error)
    write_run("b", arm={evil: "other", "name": "日本"}, metrics={evil: {"final": 1.0}})
    for arguments in ((), ("--errors",), ("--sort", "name"), ("--metric", evil), (f"{evil}=other",)):
        text = output_of(capsys, tmp_path, *arguments)
        assert all(line.isprintable() for line in text.split("\n")), arguments
    assert r"\x1b[2J" in text
    assert picked(capsys, tmp_path, f"{evil}={evil}") == [("a", 0)]
    assert picked(capsys, tmp_path, "name='x, \"y\"'") == [("a", 0)]
    assert picked(capsys, tmp_path, "name=日本") == [("b", 0)]


DAMAGED = {"empty": ("", "empty"), "cut short": ('{"schema": 1, "sta', "cut short"), "binary": (b"\xff\xfe", "UTF-8")}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_an_unreadable_run_is_named_and_the_rest_is_shown(sweep, write_run, capsys, content, reason):
    run = write_run("d\x1b", 4, content=content)
    shown = str(run).replace("\x1b", r"\x1b")
    text = output_of(capsys, sweep, "optimizer=adam")
    *_, counts, unreadable = text.splitlines()
    assert counts.startswith("runs: 3: 2 completed, 0 diverged, 0 failed, 1 unreadable")
    assert unreadable.startswith(f"unreadable: {shown}: ")
    assert reason in unreadable
    for show in ("--csv", "--command", "--errors"):
        assert main([str(sweep), show]) == 0
        captured = capsys.readouterr()
        assert captured.err.startswith(f"bakeoff-runs: unreadable: {shown}: ")
        assert "unreadable:" not in captured.out


def test_nothing_but_unreadable_runs(tmp_path, capsys):
    (tmp_path / "default" / "seed=0").mkdir(parents=True)
    assert f"unreadable: {tmp_path}/default/seed=0: no outcome.json" in output_of(capsys, tmp_path, "--sort", "metric")


def test_folders_that_are_no_sweep(write_run, tmp_path, capsys):
    assert f"no such folder: {tmp_path}/none" in output_of(capsys, tmp_path / "none", status=2)
    assert f"no runs in {tmp_path}: a sweep folder holds" in output_of(capsys, tmp_path, status=2)
    write_run("main/default")
    assert output_of(capsys, tmp_path, status=2).endswith(f"did you mean {tmp_path}/main?")


def test_options_and_filters_may_be_mixed(sweep, capsys):
    assert main(["--csv", str(sweep), "optimizer=adam", "--sort", "seed", "seed=1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    with pytest.raises(SystemExit) as stop:
        main([str(sweep), "--csv", "--command"])
    assert stop.value.code == 2


def python(code, *arguments, **environment):
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_it_starts_without_what_takes_long_to_import(sweep):
    code = """
import sys
for name in ("torch", "lightning", "scipy", "numpy", "matplotlib", "tensorboard"):
    sys.modules[name] = None  # any import of it fails
from bakeoff.report.runs_command import main
sys.exit(main(sys.argv[1:]))
"""
    for arguments in ((), ("--csv",), ("--command",), ("--errors",), ("optimizer=adam", "--sort=metric")):
        done = python(code, sweep, *arguments)
        assert (done.returncode, done.stderr) == (0, "")


MAIN = "import sys; from bakeoff.report.runs_command import main; sys.exit(main(sys.argv[1:]))"


def test_a_terminal_without_unicode_gets_escapes(sweep):
    done = python(MAIN, sweep, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2500" in done.stdout


def test_a_reader_that_stops_early_is_no_error(write_run, tmp_path):
    write_run("default", overrides=["note=" + "x" * 1_000_000])  # more than a pipe holds
    command = [sys.executable, "-c", MAIN, str(tmp_path), "--command"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_metric_of_ones_own_is_shown_and_sorted_only_with_a_direction(write_run, tmp_path, capsys):
    for seed, value in enumerate((3.0, 1.0, 2.0)):
        write_run("default", seed, metrics={"val/perplexity": {"final": value}})
    assert "3.0000" in output_of(capsys, tmp_path, "--metric=val/perplexity")
    arguments = ("--metric=val/perplexity", "--sort=metric")
    refused = output_of(capsys, tmp_path, *arguments, status=2)
    assert refused.startswith("bakeoff-runs: it is not known whether val/perplexity is better small or large; give")
    for direction, seeds in (("min", [1, 2, 0]), ("max", [0, 2, 1])):
        found = picked(capsys, tmp_path, *arguments, "--direction", direction)
        assert [seed for _, seed in found] == seeds

"""Records of HParams against TensorBoard's own backend, and how fast they are read again."""

import math
import time
import tracemalloc

import pytest
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin

from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.hparams import (
    HParamColumn,
    Kind,
    MetricColumn,
    experiment,
    kind_of,
    read_kinds,
    read_session_start,
    separate_kinds,
    session_end,
    session_start,
)

HPARAMS = {"optimizer": "adam", "optimizer.lr": 0.01, "optimizer.amsgrad": False, "batch_size": "16", "n": 3}
SOUGHT = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


def write_run(folder, hparams, group, success=None, **scalars):
    file = EventFile(folder)
    file.summary(session_start(hparams, group, 100.0))
    file.scalars(scalars, 5)
    if success is not None:
        file.summary(session_end(success, 160.0), 5)
    file.close()
    return file.path


def write_experiment(folder, columns, metrics=()):
    file = EventFile(folder)
    file.summary(experiment(columns, metrics))
    file.close()


def groups(ask, logdir, **column):
    wanted = {"allowedStatuses": SOUGHT, "startIndex": 0, "sliceSize": 100, "colParams": [column] if column else []}
    return ask(HParamsPlugin, logdir, "/session_groups", post=wanted)["sessionGroups"]


def test_runs_of_an_arm_are_one_group_with_true_types(tmp_path, ask):
    columns = [
        HParamColumn("optimizer", "Optimizer", "which one", "text", ["adam"]),
        HParamColumn("optimizer.lr", "", "", "number", [0.01]),
        HParamColumn("optimizer.amsgrad", "", "", "bool", [False]),
        HParamColumn("batch_size", "", "", "text", ["16"]),
        HParamColumn("n", "", "", "number", [3]),
    ]
    write_experiment(tmp_path, columns, [MetricColumn("final/val/accuracy", "accuracy", "higher is better")])
    for seed, accuracy in ((0, 0.5), (1, 1.0)):
        write_run(tmp_path / "adam" / f"seed={seed}", HPARAMS, "adam", True, **{"final/val/accuracy": accuracy})
    [group] = groups(ask, tmp_path)
    assert group["name"] == "adam"
    assert group["hparams"] == HPARAMS
    assert group["hparams"]["optimizer.amsgrad"] is False
    assert [s["name"] for s in group["sessions"]] == ["adam/seed=0", "adam/seed=1"]
    assert {s["status"] for s in group["sessions"]} == {"STATUS_SUCCESS"}
    assert (group["sessions"][0]["startTimeSecs"], group["sessions"][0]["endTimeSecs"]) == (100.0, 160.0)
    assert group["metricValues"][0]["value"] == 0.75
    assert group["metricValues"][0]["name"]["tag"] == "final/val/accuracy"


def test_how_a_run_ended(tmp_path, ask):
    for name, success in (("good", True), ("bad", False), ("open", None)):
        write_run(tmp_path / name, HPARAMS, name, success)
    found = {group["name"]: group["sessions"][0]["status"] for group in groups(ask, tmp_path)}
    assert found == {"good": "STATUS_SUCCESS", "bad": "STATUS_FAILURE", "open": "STATUS_UNKNOWN"}


def columns_shown(ask, tmp_path, *columns):
    write_experiment(tmp_path, columns)
    found = ask(HParamsPlugin, tmp_path, "/experiment", post={})
    return {info["name"]: info for info in found["hparamInfos"]}


def test_columns(tmp_path, ask):
    shown = columns_shown(
        ask,
        tmp_path,
        HParamColumn("lr", "rate", "the learning rate", "number", [0.1, 0.01, 0.1]),
        HParamColumn("seeds", type="number", values=range(10)),
        HParamColumn("odd", type="number", values=[math.inf, math.nan, 2]),
        HParamColumn("flag", type="bool", values=[True, False, True]),
        HParamColumn("name", values=[f"n{i:02}" for i in range(20)]),
        HParamColumn("same", values=["x"], differs=False),
        HParamColumn("nothing", type="number"),
    )
    assert (shown["lr"]["displayName"], shown["lr"]["description"]) == ("rate", "the learning rate")
    assert shown["lr"]["domainDiscrete"] == [0.01, 0.1]
    assert shown["seeds"]["domainInterval"] == {"minValue": 0.0, "maxValue": 9.0}
    assert shown["odd"]["domainDiscrete"] == [2.0]
    assert shown["flag"]["domainDiscrete"] == [False, True]
    assert len(shown["name"]["domainDiscrete"]) == 20
    assert [shown[n]["type"] for n in ("lr", "flag", "name")] == [
        "DATA_TYPE_FLOAT64",
        "DATA_TYPE_BOOL",
        "DATA_TYPE_STRING",
    ]
    assert (shown["name"]["differs"], shown["same"].get("differs", False)) == (True, False)


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        ({"filterDiscrete": ["sgd"]}, ["b"]),
        ({"filterRegexp": "^a"}, ["a"]),
    ],
)
def test_filters_of_text(tmp_path, ask, column, kept):
    write_experiment(tmp_path, [HParamColumn("optimizer", values=["adam", "sgd"])])
    for name, optimizer in (("a", "adam"), ("b", "sgd")):
        write_run(tmp_path / name, {"optimizer": optimizer}, name, True)
    assert [group["name"] for group in groups(ask, tmp_path, hparam="optimizer", **column)] == kept


def test_what_is_written_is_read_again(tmp_path):
    path = write_run(tmp_path, HPARAMS, "arm")
    found = read_session_start(path)
    assert found == HPARAMS
    assert {name: type(value) for name, value in found.items()} == {
        "optimizer": str, "optimizer.lr": float, "optimizer.amsgrad": bool, "batch_size": str, "n": float,
    }  # fmt: skip


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    path = write_run(tmp_path, {"a": math.inf, "b": math.nan, "c": 1.0}, "arm")
    assert read_session_start(path) == {"c": 1.0}


def test_kinds():
    assert [kind_of(value) for value in (True, 1, 1.5, "1", "true")] == ["bool", "number", "number", "text", "text"]


def test_a_column_never_holds_two_types():
    kinds: dict[str, Kind] = {"text": "text", "number": "number", "flag": "bool"}
    assert separate_kinds({"text": "a", "number": 1, "flag": True, "new": 0.1}, kinds) == {
        "text": "a", "number": 1, "flag": True, "new": 0.1,
    }  # fmt: skip
    assert separate_kinds({"text": 1e-3, "number": "a", "flag": 1}, kinds) == {
        "text": "0.001", "number (text)": "a", "flag (number)": 1,
    }  # fmt: skip
    assert separate_kinds({"text": True}, kinds) == {"text": "true"}


def test_kinds_of_a_sweep_are_read_from_its_root(tmp_path):
    assert read_kinds(tmp_path) == {}
    write_experiment(
        tmp_path, [HParamColumn("a"), HParamColumn("b", type="number", values=[1]), HParamColumn("c", type="bool")]
    )
    assert read_kinds(tmp_path) == {"a": "text", "b": "number", "c": "bool"}


def test_no_start_record(tmp_path):
    file = EventFile(tmp_path)
    file.scalars({"x": 1.0}, 1)
    file.close()
    assert read_session_start(file.path) is None
    (tmp_path / "empty").write_bytes(b"")
    assert read_session_start(tmp_path / "empty") is None


def test_a_file_that_is_cut_short_in_the_start_record(tmp_path):
    path = write_run(tmp_path, HPARAMS, "arm")
    path.write_bytes(path.read_bytes()[:120])
    assert read_session_start(path) is None


def test_only_the_beginning_of_a_file_is_read(tmp_path):
    path = write_run(tmp_path, HPARAMS, "arm")
    with path.open("ab") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    found, (_, most_bytes) = read_session_start(path), tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == HPARAMS
    assert most_bytes < 1_000_000


def test_a_thousand_runs_are_read_in_less_than_a_second(tmp_path):
    hparams = {f"name.{i}": value for i in range(10) for value in (i / 7,)} | HPARAMS
    paths = [write_run(tmp_path / str(i), hparams, "arm", True, x=1.0) for i in range(1000)]
    started = time.process_time()
    assert all(read_session_start(path) for path in paths)
    assert time.process_time() - started < 1.0

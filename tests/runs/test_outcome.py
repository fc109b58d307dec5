"""The record of a run: its schema, what becomes of numbers that are none, and that nobody reads half of it."""

import json
import threading

import pytest

from bakeoff.runs import Outcome, identity_of, lower_is_better, write_whole

FIELDS = {
    "host", "process", "request",
    "schema", "status", "arm", "seed", "identity", "metrics", "steps", "epochs", "samples", "seconds", "device",
    "threads", "versions", "started", "ended", "overrides", "error",
}  # fmt: skip


def outcome(**values):
    return Outcome(arm={"loss": "mse"}, seed=0, identity="i", overrides=["loss=mse"], **values)


def test_the_schema(tmp_path):
    outcome().write(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    assert set(record) == FIELDS
    assert (record["schema"], record["status"], record["ended"], record["error"]) == (1, "running", None, None)


def test_numbers_that_are_not_finite_become_null(tmp_path):
    outcome(metrics={"val/loss": {"final": float("nan"), "best": float("inf"), "best_step": 3}}).write(tmp_path)
    text = (tmp_path / "outcome.json").read_text()
    assert json.loads(text)["metrics"] == {"val/loss": {"final": None, "best": None, "best_step": 3}}
    assert "NaN" not in text


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, stop, seen = tmp_path / "x", threading.Event(), set()
    write_whole(path, "a" * 100_000)

    def read():
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "bcdefghij":
        write_whole(path, letter * 100_000)
    stop.set()
    reader.join()
    assert all(len(text) == 100_000 and len(set(text)) == 1 for text in seen)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    write_whole(tmp_path / "x", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "x", "\ud800")
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_identity_depends_on_content_and_seed_but_not_on_order():
    base = identity_of({"loss": {"a": 1, "b": 2}}, 0)
    assert base == identity_of({"loss": {"b": 2, "a": 1}}, 0)
    assert len({base, identity_of({"loss": {"a": 1, "b": 3}}, 0), identity_of({"loss": {"a": 1, "b": 2}}, 1)}) == 3


def test_directions():
    assert [lower_is_better(f"val/{m}") for m in ("loss", "nll", "ece", "rmse", "mae")] == [True] * 5
    assert [lower_is_better(f"val/{m}") for m in ("accuracy", "top5", "r2")] == [False] * 3

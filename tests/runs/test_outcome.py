"""The record of a run: its schema, what becomes of numbers that are none, and what is refused."""

import json
import math
import re

import pytest

from bakeoff.errors import UserError
from bakeoff.runs import Outcome, objective, parse_outcome

FIELDS = {
    "host", "process", "fingerprint", "metric", "metric_direction", "launch", "assumed", "splits",
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


def test_what_is_written_is_read(tmp_path):
    given = outcome(
        status="completed", metrics={"val/mine": {"final": 0.5, "best": 0.25, "best_step": 3}}, steps=5, epochs=0.5,
        samples=7, seconds=1.5, device="cpu", threads=2, host="h", process=3, versions={"torch": "2"}, ended="later",
        error={"type": "E", "message": "m", "step": None, "traceback": None}, fingerprint={"command": "c"},
        metric="val/mine", metric_direction="min",
    )  # fmt: skip
    given.write(tmp_path)
    assert Outcome.read(tmp_path) == given


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema must be 1, got 2: another version of bakeoff wrote it"),
        ({"seed": "0"}, 'seed must be an integer, got "0"'),
        ({"seed": True}, "seed must be an integer, got true"),
        ({"status": "done"}, "status must be one of completed, diverged, failed, interrupted, running, got 'done'"),
        ({"metrics": {"val/loss": 1}}, "metrics: val/loss must be an object with `final`, got 1"),
        ({"seconds": "1"}, 'seconds must be a number, got "1"'),
        ({"metric_direction": "up"}, "metric_direction must be min or max, got 'up'"),
        ({"fingerprint": []}, "fingerprint must be an object, got []"),
    ],
)
def test_a_record_of_the_wrong_kind_is_refused(tmp_path, change, message):
    outcome().write(tmp_path)
    path = tmp_path / "outcome.json"
    record = json.loads(path.read_text()) | change
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_outcome(json.dumps(record))
    path.write_text(json.dumps(record))
    assert Outcome.read(tmp_path) is None


@pytest.mark.parametrize("field", ["schema", "status", "arm", "seed", "identity", "metrics", "steps", "overrides"])
def test_a_missing_field_is_named(tmp_path, field):
    outcome().write(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    del record[field]
    with pytest.raises(ValueError, match=f"^{field} is missing$"):
        parse_outcome(json.dumps(record))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "NaN", "[" * 10**5])
def test_a_text_that_is_no_record(tmp_path, text):
    (tmp_path / "outcome.json").write_text(text)
    assert Outcome.read(tmp_path) is None


def test_a_record_of_before_this_version_is_read(tmp_path):
    outcome(status="completed").write(tmp_path)
    record = json.loads((tmp_path / "outcome.json").read_text())
    for added in ("metric", "metric_direction", "fingerprint"):
        del record[added]
    found = parse_outcome(json.dumps({**record, "request": {"key": "k"}}))
    assert (found.status, found.metric, found.fingerprint) == ("completed", None, None)


def test_the_objective_is_the_final_value_or_the_worst():
    good = outcome(status="completed", metrics={"val/loss": {"final": 0.5}})
    assert objective(good, "val/loss", "min") == 0.5
    assert objective(good, "val/other", "max") == -math.inf
    bad = outcome(status="diverged", metrics={"val/loss": {"final": 0.5}})
    assert (objective(bad, "val/loss", "min"), objective(bad, "val/loss", "max")) == (math.inf, -math.inf)


def test_the_direction_of_a_users_metric_is_what_the_record_states():
    stated = outcome(metric="val/mine", metric_direction="min")
    assert (stated.direction("val/mine"), stated.direction("val/accuracy")) == ("min", "max")
    with pytest.raises(UserError, match="val/other is better small or large"):
        stated.direction("val/other")

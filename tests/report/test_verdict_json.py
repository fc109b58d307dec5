"""What a sweep says as JSON: valid by its schema, and the numbers of the text."""

import json

import jsonschema
import pytest
from scipy.stats import ttest_rel

from bakeoff.report.command import main
from bakeoff.report.records import read_sweep
from bakeoff.report.sweep_text import sweep_text
from bakeoff.report.verdict_json import schema, verdict_json

ARMS = {("mse", "sgd"): 0.93, ("mse", "adam"): 0.94, ("hinge", "sgd"): 0.90, ("hinge", "adam"): 0.905}
NOISE = (0.0, 0.004, 0.001, 0.003, 0.002)


@pytest.fixture
def sweep(write_run, tmp_path):
    """Two losses, two optimizers, 5 seeds."""
    for i, ((loss, optimizer), accuracy) in enumerate(ARMS.items()):
        for seed, noise in enumerate(NOISE):
            arm = {"loss": loss, "optimizer": optimizer}
            value = accuracy + noise + 0.0005 * ((seed * (i + 2)) % 3)
            write_run(f"loss={loss},optimizer={optimizer}", seed, accuracy=value, arm=arm)
    return tmp_path


def verdict(folder, **options):
    found = verdict_json(read_sweep(folder), **options)
    jsonschema.validate(found, schema())
    return found


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_command_prints_it(sweep, capsys):
    assert main([str(sweep), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == verdict(sweep)


def test_what_it_says_of_arms(sweep):
    found = verdict(sweep)
    first, second, *_ = found["arms"]
    assert (first["arm"], first["rank"], first["behind_first"]) == ("loss=mse, optimizer=adam", 1, None)
    ours, theirs = (list(arm["values"].values()) for arm in (first, second))
    behind = second["behind_first"]
    assert behind["alone"]["mean"] == pytest.approx(sum(ours) / 5 - sum(theirs) / 5)
    assert behind["alone"]["p"] == pytest.approx(ttest_rel(ours, theirs).pvalue)
    assert behind["p"] <= 1
    assert (behind["wins"], behind["losses"]) == (5, 0)
    assert found["set_of_best"] == ["loss=mse,optimizer=adam"]


def test_small_values_are_better(sweep, write_run):
    found = verdict(sweep, metric="val/loss")
    assert found["question"] == {"metric": "val/loss", "direction": "min", "level": 0.95}
    assert len(found["set_of_best"]) == 4  # all are equal


def test_it_agrees_with_the_text(sweep):
    found, text = verdict(sweep), sweep_text(read_sweep(sweep))
    for effect in found["main_effects"]:
        assert effect["says"] in text.splitlines()
        for level in effect["levels"]:
            assert f"{level['behind_leader']['alone']['mean']:.4f}" in text
    for arm in found["arms"]:
        assert f"{arm['validation']['mean']:.4f}" in text


def test_bad_ends_and_unreadable_runs(sweep, write_run):
    write_run(
        "loss=huber,optimizer=sgd", 0, accuracy=None, status="diverged", arm={"loss": "huber", "optimizer": "sgd"}
    )
    write_run("loss=huber,optimizer=sgd", 1, content="{")
    found = verdict(sweep)
    last = found["arms"][-1]
    assert (last["rank"], last["validation"], last["values"]) == (None, None, {})
    assert last["counts"] == {"diverged": 1, "unreadable": 1}
    assert len(found["unreadable"]) == 1


def test_one_run(write_run, tmp_path):
    write_run("optimizer=sgd", arm={"optimizer": "sgd"})
    found = verdict(tmp_path)
    assert (found["set_of_best"], found["main_effects"]) == ([], [])


def test_not_as_csv_too(sweep, capsys):
    with pytest.raises(SystemExit):
        main([str(sweep), "--json", "--csv"])
    assert "not allowed with argument" in capsys.readouterr().err

"""The link that is printed after a sweep, read as TensorBoard's page reads it."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bakeoff.overview import time_series
from bakeoff.report.arms import group_arms
from bakeoff.report.record import Record
from bakeoff.runs import folder_name


def arms(make_record, *choices):
    return group_arms([make_record(folder_name(arm), arm=arm) for arm in choices])


@pytest.fixture
def make_record():
    def make(folder, arm):
        path = Path("sweep", folder, "seed=0")
        return Record(path=path, status="completed", arm=arm, seed=0, identity="", overrides=[])

    return make


def colours(link, runs):
    pattern = parse_qs(urlsplit(link).query)["runColorGroup"][0].removeprefix("regex:")
    return [re.search(pattern, run)[1] for run in runs]


def test_runs_are_coloured_by_optimizer_and_filtered_to_the_metric(make_record):
    choices = [{"loss": loss, "optimizer": name} for name in ("sgd", "adam") for loss in ("mse", "hinge")]
    link = time_series(arms(make_record, *choices), "val/accuracy")
    assert link.startswith("http://localhost:6006/?")
    assert link.endswith("#timeseries")
    runs = [f"{folder_name(choice)}/seed=0" for choice in choices]
    assert colours(link, runs) == ["sgd", "sgd", "adam", "adam"]
    asked = parse_qs(urlsplit(link).query)
    assert re.fullmatch(asked["tagFilter"][0], "val/accuracy")
    assert not re.search(asked["tagFilter"][0], "band/val/accuracy/mean")
    assert re.search(asked["runFilter"][0], runs[0])
    assert not re.search(asked["runFilter"][0], folder_name(choices[0]))  # the aggregate run


def test_without_optimizers_another_choice_gives_the_colours(make_record):
    choices = [{"batch_size": size, "optimizer": "adam"} for size in (1, 16, 128, "full")]
    link = time_series(arms(make_record, *choices), "val/loss")
    assert colours(link, [folder_name(choice) + "/seed=0" for choice in choices]) == ["1", "16", "128", "full"]


def test_a_choice_that_some_names_do_not_show_gives_no_colours_where_another_does(make_record):
    records = [make_record("loss=mse", {"optimizer": "sgd", "loss": "mse"})]
    records += [make_record("loss=mse,optimizer=adam", {"optimizer": "adam", "loss": "mse"})]
    records += [make_record("loss=hinge", {"optimizer": "sgd", "loss": "hinge"})]
    link = time_series(group_arms(records), "val/loss")
    assert colours(link, [f"{record.folder}/seed=0" for record in records]) == ["mse", "mse", "hinge"]


def test_hostile_values_are_escaped(make_record):
    choices = [{"model.name": value} for value in ("a b&c#d", "größe", '"><script>', "x(y|z)*")]
    link = time_series(arms(make_record, *choices), "val/loss")
    assert re.fullmatch(r"[A-Za-z0-9%/:=?#&._~-]+", link)
    runs = [folder_name(choice) + "/seed=0" for choice in choices]
    assert len(set(colours(link, runs))) == 4


def test_one_arm_has_no_colours(make_record):
    assert "runColorGroup" not in time_series(arms(make_record, {"optimizer": "sgd"}), "val/loss")

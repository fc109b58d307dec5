"""Which columns HParams has, and that text and numbers never share one."""

from pathlib import Path
from typing import Any

from bakeoff.overview.columns import differing_columns, metric_columns, with_kinds_separated
from bakeoff.report.record import Record
from bakeoff.tensorboard.hparams import Hyperparameter


def names(runs):
    return {column.name: (column.type, sorted(column.values, key=str)) for column in differing_columns(runs)}


def test_a_column_for_what_differs():
    runs: list[dict[str, Hyperparameter]] = [{"optimizer": "adam", "lr": 0.1, "nesterov": True, "model": "mlp"}] * 2
    runs += [{"optimizer": "sgd", "lr": 0.2, "nesterov": False, "model": "mlp"}]
    assert names(runs) == {
        "optimizer": ("text", ["adam", "sgd"]),
        "lr": ("number", [0.1, 0.2]),
        "nesterov": ("bool", [False, True]),
    }
    assert all(column.differs for column in differing_columns(runs))


def test_what_only_some_runs_have_differs_if_it_differs_among_them():
    adam = {"optimizer": "adam", "optimizer.betas": "[0.9, 0.999]"}
    assert set(names([adam, {"optimizer": "sgd"}])) == {"optimizer"}
    other = {"optimizer": "adam", "optimizer.betas": "[0.8, 0.999]"}
    assert set(names([adam, other, {"optimizer": "sgd"}])) == {"optimizer", "optimizer.betas"}


def test_a_choice_between_none_and_one_value_is_a_column():
    runs = [{"loss": loss, **norm} for loss in ("mse", "hinge") for norm in ({}, {"clip.norm": 1.0})]
    assert names(runs) == {"loss": ("text", ["hinge", "mse"]), "clip.norm": ("number", [1.0])}
    assert names([{}, {"clip.norm": 1.0}]) == {"clip.norm": ("number", [1.0])}


def test_planned_text_and_numbers_become_text():
    runs = with_kinds_separated([], [{"width": 64}, {"width": "auto"}])
    assert names(runs) == {"width": ("text", ["64", "auto"])}


def test_what_is_in_the_files_already_decides():
    runs = with_kinds_separated([{"width": 64}], [{"width": "auto"}, {"width": "small"}, {"width": 32}])
    assert names(runs) == {"width": ("number", [32, 64]), "width (text)": ("text", ["auto", "small"])}
    runs = with_kinds_separated([{"width": "auto"}], [{"width": 64}])
    assert names(runs) == {"width": ("text", ["64", "auto"])}


def test_a_column_of_both_kinds_is_left_out_and_said(caplog):
    assert names([{"width": 64}, {"width": "auto"}]) == {}
    assert "no column width" in caplog.text


def test_nothing_differs_in_nothing():
    assert differing_columns([]) == []
    assert differing_columns([{"a": 1}]) == []


def make_record(**fields: Any) -> Record:
    spent = {"steps": 1, "epochs": 1.0, "samples": 1, "seconds": 1.0}
    entry = {"final": 1.0, "best": 1.0, "best_step": 1}
    metrics = {"val/accuracy": entry, "val/error": {"final": 1.0}, "test/accuracy": {"final": 1.0}}
    path = Path("sweep", "default", "seed=0")
    base: dict[str, Any] = {"arm": {}, "seed": 0, "identity": "", "overrides": [], "status": "completed"}
    return Record(path=path, metrics=metrics, **(base | spent | fields))


def test_metrics_have_final_and_best_the_main_one_first():
    columns = metric_columns([make_record()], "val/accuracy")
    assert [column.tag for column in columns] == [
        "final/val/accuracy",
        "best/val/accuracy",
        "final/test/accuracy",
        "final/val/error",
    ]
    assert "higher is better" in columns[0].description


def test_a_metric_of_ones_own_has_a_best_only_with_a_direction():
    """Its name says error; only the runs can say that lower is better."""
    for direction, words in ((None, "it is not known whether val/error"), ("min", "lower is"), ("max", "higher is")):
        record = make_record(metric="val/error", metric_direction=direction)
        columns = {column.tag: column.description for column in metric_columns([record], "val/error")}
        assert next(iter(columns)) == "final/val/error"
        assert words in columns["final/val/error"]
        assert ("best/val/error" in columns) == (direction is not None)

"""Which columns HParams has, and that text and numbers never share one."""

from bakeoff.overview.columns import differing, told_apart


def names(runs):
    return {column.name: (column.type, sorted(column.values, key=str)) for column in differing(runs)}


def test_a_column_for_what_differs():
    runs = [{"optimizer": "adam", "lr": 0.1, "nesterov": True, "model": "mlp"}] * 2
    runs += [{"optimizer": "sgd", "lr": 0.2, "nesterov": False, "model": "mlp"}]
    assert names(runs) == {
        "optimizer": ("text", ["adam", "sgd"]),
        "lr": ("number", [0.1, 0.2]),
        "nesterov": ("bool", [False, True]),
    }
    assert all(column.differs for column in differing(runs))


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
    runs = told_apart([], [{"width": 64}, {"width": "auto"}])
    assert names(runs) == {"width": ("text", ["64", "auto"])}


def test_what_is_in_the_files_already_decides():
    runs = told_apart([{"width": 64}], [{"width": "auto"}, {"width": "small"}, {"width": 32}])
    assert names(runs) == {"width": ("number", [32, 64]), "width (text)": ("text", ["auto", "small"])}
    runs = told_apart([{"width": "auto"}], [{"width": 64}])
    assert names(runs) == {"width": ("text", ["64", "auto"])}


def test_a_column_of_both_kinds_is_left_out_and_said(caplog):
    assert names([{"width": 64}, {"width": "auto"}]) == {}
    assert "no column width" in caplog.text


def test_nothing_differs_in_nothing():
    assert differing([]) == []
    assert differing([{"a": 1}]) == []

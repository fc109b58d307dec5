"""A record is not taken for a run that measures something else by the same name."""

import pytest

from bakeoff.errors import UserError
from bakeoff.train.recorded_metrics import check_recorded_metrics

F1 = {"_target_": "torchmetrics.F1Score", "average": "macro"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text(
        "how: micro\nmetrics:\n  f1:\n    _target_: torchmetrics.F1Score\n    average: ${how}\n"
    )
    return tmp_path


def test_another_one_by_the_same_name_is_refused(folder):
    with pytest.raises(UserError) as refused:
        check_recorded_metrics(folder, {"f1": F1})
    assert str(refused.value) == (
        f"metrics.f1: the run in {folder} measured another one by that name (average=micro); give it another name, or "
        "train again by reuse=never"
    )


@pytest.mark.parametrize("metrics", [{}, {"f1": {**F1, "average": "micro"}}, {"other": F1}])
def test_the_same_and_others_are_taken(folder, metrics):
    check_recorded_metrics(folder, metrics)


@pytest.mark.parametrize("content", [None, "", "a: [", "7", "metrics: 3"])
def test_a_configuration_that_cannot_be_read_says_nothing(folder, content):
    path = folder / ".hydra" / "config.yaml"
    path.unlink() if content is None else path.write_text(content)
    check_recorded_metrics(folder, {"f1": F1})

"""What a command asks for that finished runs were not trained with is said."""

from pathlib import Path

import pytest

from bakeoff.launch.kept import not_kept


@pytest.fixture
def run(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text(
        "checkpoints: all\nlog: default\nmetric: val/accuracy\nroot: ${oc.env:HOME}\n"
    )
    return tmp_path


SAID = {
    "log=full": ["log=full"],
    "log=default": [],
    "checkpoints=best": [],
    "checkpoints=none": [],
    "metric=val/nll": ["best.ckpt by val/nll"],
    "metric='val/nll'": ["best.ckpt by val/nll"],
    "metric=val/accuracy": [],
    "optimizer=adam": [],
}


@pytest.mark.parametrize(("override", "said"), SAID.items(), ids=SAID)
def test_what_a_finished_run_was_trained_without(run, override, said):
    assert not_kept([(run, ["seed=1", override])]) == said


def test_each_is_said_once(run):
    assert not_kept([(run, ["log=full"]), (run, ["log=full", "seed=1"])]) == ["log=full"]


def test_a_run_without_checkpoints_has_none_that_a_metric_chose(run):
    (run / ".hydra" / "config.yaml").write_text("checkpoints: none\nmetric: val/accuracy\n")
    assert not_kept([(run, ["metric=val/nll"])]) == []
    assert not_kept([(run, ["metric=val/nll", "checkpoints=last"])]) == ["checkpoints=last"]


@pytest.mark.parametrize("content", [None, "", "a: [", "7"])
def test_a_configuration_that_cannot_be_read_says_nothing(run, content):
    path = run / ".hydra" / "config.yaml"
    path.unlink() if content is None else path.write_text(content)
    assert not_kept([(Path(run), ["log=full"])]) == []

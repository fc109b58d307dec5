"""What the event file of a run says, for each way in which a run can end."""

import html
import io
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.hparams import api_pb2, metadata
from torch import nn

from bakeoff.tensorboard.hparams import read_session_start
from bakeoff.train.event_writer import as_markdown


def only_file(folder):
    [path] = Path(folder).glob("events.out.tfevents.*")
    return path


def values(folder):
    """Every value in the order in which it was written, with its step."""
    return [(e.step, v) for e in LegacyEventFileLoader(str(only_file(folder))).Load() for v in e.summary.value]


def endings(folder):
    contents = [v.metadata.plugin_data.content for _, v in values(folder) if v.tag == metadata.SESSION_END_INFO_TAG]
    return [metadata.parse_session_end_info_plugin_data(content).status for content in contents]


def tags(folder):
    return {v.tag for _, v in values(folder)}


def results(folder):
    return {tag for tag in tags(folder) if tag.startswith(("final/", "best/"))}


def test_a_completed_run(make_run, tmp_path):
    folder = tmp_path / "lr=0.1" / "seed=0"
    outcome = make_run("optimizer.lr=0.1", "budget.steps=60", "budget.validations=6").train(folder)
    first, second, *_, last = [v.tag for _, v in values(folder)]
    assert (first, second) == (metadata.SESSION_START_INFO_TAG, "configuration")
    assert last == metadata.SESSION_END_INFO_TAG
    assert endings(folder) == [api_pb2.STATUS_SUCCESS]
    assert "hp_metric" not in tags(folder)
    assert metadata.EXPERIMENT_TAG not in tags(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        only_file(folder).name,
        "outcome.json",
    ]
    start = values(folder)[0][1].metadata.plugin_data.content
    assert metadata.parse_session_start_info_plugin_data(start).group_name == "lr=0.1"
    events = EventAccumulator(str(folder))
    events.Reload()
    for name, entry in outcome.metrics.items():
        [final] = events.Scalars(f"final/{name}")
        assert (final.step, final.value) == (60, pytest.approx(entry["final"]))
        if not name.startswith("test/"):
            [best] = events.Scalars(f"best/{name}")
            assert (best.step, best.value) == (entry["best_step"], pytest.approx(entry["best"]))
    assert not [tag for tag in results(folder) if tag.startswith("best/test/")]


def test_a_diverged_run(make_run, tmp_path):
    assert make_run("loss=mse", "optimizer.lr=1e6", "budget.steps=300").train(tmp_path).status == "diverged"
    assert endings(tmp_path) == [api_pb2.STATUS_FAILURE]
    assert results(tmp_path) == set()
    assert not {"confusion", "examples"} & tags(tmp_path)


class Fails(nn.Module):
    error = RuntimeError

    def __init__(self, *, n_in, n_out):
        super().__init__()
        self.net, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out)), 0

    def forward(self, x):
        self.calls += self.training
        if self.calls == 30:
            self.fail()
        return self.net(x)

    def fail(self):
        raise RuntimeError


class Interrupts(Fails):
    def fail(self):
        raise KeyboardInterrupt


def test_a_failed_run(make_run, tmp_path):
    command = (f"model._target_={__name__}.Fails", "budget.steps=100", "budget.validations=10")
    assert make_run(*command).train(tmp_path).status == "failed"
    assert endings(tmp_path) == [api_pb2.STATUS_FAILURE]
    assert results(tmp_path) == set()
    assert {"train/loss", "val/accuracy"} <= tags(tmp_path)


def test_an_interrupted_run_has_no_end(make_run, tmp_path):
    command = (f"model._target_={__name__}.Interrupts", "budget.steps=100", "budget.validations=10")
    assert make_run(*command).train(tmp_path).status == "interrupted"
    assert endings(tmp_path) == []
    assert results(tmp_path) == set()
    assert read_session_start(only_file(tmp_path))["model"] == "Interrupts"


def test_a_retry_writes_the_file_anew(make_run, tmp_path):
    first = make_run(f"model._target_={__name__}.Interrupts", "budget.steps=100").train(tmp_path)
    assert first.status == "interrupted"
    make_run("budget.steps=5").train(tmp_path)
    assert endings(tmp_path) == [api_pb2.STATUS_SUCCESS]
    assert [v.tag for _, v in values(tmp_path)].count(metadata.SESSION_START_INFO_TAG) == 1


class Reads(Fails):
    """Looks, in the midst of its training, at what others can read of the run by now."""

    folder: Path
    found: set[str]

    def fail(self):
        Reads.found = tags(Reads.folder)


def test_the_start_can_be_read_while_the_run_is_trained(make_run, tmp_path):
    Reads.folder = tmp_path
    make_run(f"model._target_={__name__}.Reads", "budget.steps=40", "budget.validations=1").train(tmp_path)
    assert {metadata.SESSION_START_INFO_TAG, "configuration"} <= Reads.found
    assert metadata.SESSION_END_INFO_TAG not in Reads.found


def test_hyperparameters_are_those_of_the_run(make_run, tmp_path):
    make_run("batch_size=full", "budget.steps=3").train(tmp_path)
    found = read_session_start(only_file(tmp_path))
    assert (found["batch_size"], found["samples_per_step"]) == ("full", 1077.0)
    assert (found["optimizer"], found["optimizer.lr"], found["optimizer.nesterov"]) == ("SGD", 0.1, False)
    assert found["budget.steps"] == 3.0
    assert "budget.epochs" not in found


def pictures(folder):
    return {v.tag: Image.open(io.BytesIO(v.image.encoded_image_string)) for _, v in values(folder) if v.image.width}


def test_a_classifier_shows_what_it_predicted_once(make_run, tmp_path):
    make_run("budget.steps=40", "budget.validations=4").train(tmp_path)
    shown = [(step, v.tag) for step, v in values(tmp_path) if v.tag in ("confusion", "examples")]
    assert shown == [(40, "confusion"), (40, "examples")]
    assert all(min(picture.size) > 100 for picture in pictures(tmp_path).values())


def test_early_stopping_shows_it_too(make_run, tmp_path):
    command = ("early_stopping.patience=1", "early_stopping.min_delta=1.0", "budget.steps=100")
    outcome = make_run(*command).train(tmp_path)
    assert outcome.steps < 100
    assert set(pictures(tmp_path)) == {"confusion", "examples"}


def test_regression_has_no_pictures(make_run, tmp_path):
    assert make_run("data=diabetes", "loss=mse", "budget.steps=5").train(tmp_path).status == "completed"
    assert pictures(tmp_path) == {}
    assert "final/val/rmse" in results(tmp_path)


@pytest.mark.parametrize(
    ("shape", "classes", "expected"),
    [((6,), 3, {"confusion"}), ((2, 4, 4), 3, {"confusion"}), ((3, 4, 4), 30, {"confusion", "examples"}),
     ((1, 4, 4), 31, {"examples"})],
)  # fmt: skip
def test_which_data_has_which_pictures(make_run, tmp_path, shape, classes, expected):
    rng, n = np.random.default_rng(0), classes * 10
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(n, *shape)), y=np.arange(n) % classes)
    outcome = make_run("data=array", f"data.path='{tmp_path}/data.npz'", "budget.steps=3").train(tmp_path / "run")
    assert outcome.status == "completed", outcome.error
    assert set(pictures(tmp_path / "run")) == expected


def test_a_picture_that_fails_does_not_lose_the_run(make_run, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise MemoryError("too large")

    monkeypatch.setattr("bakeoff.train.event_writer.confusion_matrix", fail)
    with caplog.at_level(logging.WARNING, "bakeoff"):
        assert make_run("budget.steps=3").train(tmp_path).status == "completed"
    assert "no pictures of what was predicted: MemoryError: too large" in caplog.text
    assert json.loads((tmp_path / "outcome.json").read_text())["status"] == "completed"
    assert endings(tmp_path) == [api_pb2.STATUS_SUCCESS]


HOSTILE = [
    "```\n<script>alert(1)</script>\n**bold**\n```",
    "`````` ```yaml",
    "\n" + "`" * 50 + "\n# heading",
    "~~~\n</code></pre><b>x</b>",
    "a\x00b\x02wzxhzdk:0\x03",
    "𝛼 \u2028 é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_leaves_the_block_of_the_configuration(text):
    settings = {"data": {"path": text, text: [1, None, True, 0.1]}, "tuning_note": text}
    fence, _, rest = as_markdown(settings).partition("yaml\n")
    assert set(fence) == {"`"}
    assert rest.index(fence) == len(rest) - len(fence) - 1
    page = str(markdown_to_safe_html(as_markdown(settings)))
    [block] = re.findall(r"<pre><code[^>]*>(.*)</code></pre>", page, re.DOTALL)
    assert re.sub(r"<pre><code[^>]*>.*</code></pre>", "", page, flags=re.DOTALL).strip() == ""
    assert "<" not in block  # all markup inside is escaped
    assert yaml.safe_load(html.unescape(block)) == settings


def test_a_configuration_of_odd_values_is_shown():
    odd: dict = {"path": Path("/x"), "text": "a\udcff", 1: float("inf")}
    shown = as_markdown(odd)
    assert yaml.safe_load(shown.strip("`\n").removeprefix("yaml\n")) == {"path": "/x", "text": "a?", "1": float("inf")}

"""TensorBoard's own HParams backend over sweeps of ours: asked over HTTP, as its page asks."""

import json

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import plugin_data_pb2  # noqa: F401
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from werkzeug.test import Client

STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


def start(logdir):
    """What a server that starts now knows: the experiment, and the session groups with every column."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logdir)), logdir=str(logdir))
    apps = HParamsPlugin(context).get_plugin_apps()

    def ask(route, question):
        answer = Client(apps[route]).post(route, data=json.dumps(question), content_type="application/json")
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)

    experiment = ask("/experiment", {"experimentName": ""})
    columns = [{"hparam": info["name"]} for info in experiment["hparamInfos"]]
    columns += [{"metric": info["name"]} for info in experiment["metricInfos"]]
    question = {"experimentName": "", "allowedStatuses": STATUSES, "colParams": columns, "sliceSize": 10_000}
    groups = ask("/session_groups", question)
    return experiment, groups["sessionGroups"]


def rows(groups):
    """Arm -> its hyperparameters, statuses and metrics."""
    return {
        group["name"]: (
            group["hparams"],
            sorted(session["status"] for session in group["sessions"]),
            {metric["name"]["tag"]: metric["value"] for metric in group.get("metricValues", [])},
        )
        for group in groups
    }


def outcomes(sweep):
    found = {}
    for path in sweep.glob("*/seed=*/outcome.json"):
        found.setdefault(path.parent.parent.name, []).append(json.loads(path.read_text()))
    return found


def columns(experiment):
    return {info["name"]: info for info in experiment["hparamInfos"]}


def test_the_same_at_five_starts(small_sweep):
    first, *others = [start(small_sweep) for _ in range(5)]
    assert all(other == first for other in others)


def test_one_group_an_arm_and_one_session_a_seed(small_sweep):
    _, groups = start(small_sweep)
    found, expected = rows(groups), outcomes(small_sweep)
    assert set(found) == set(expected)
    for arm, (hparams, statuses, metrics) in found.items():
        assert statuses == ["STATUS_SUCCESS"] * 2
        (choice,) = {(o["arm"]["optimizer"], o["arm"]["loss"], str(o["arm"]["batch_size"])) for o in expected[arm]}
        assert (hparams["optimizer"], hparams["loss"], hparams["batch_size"]) == choice
        assert hparams["samples_per_step"] == (16 if choice[2] == "16" else 1077)
        for name, kind in (("val/accuracy", "final"), ("val/accuracy", "best"), ("test/nll", "final")):
            mean = sum(o["metrics"][name][kind] for o in expected[arm]) / 2
            assert metrics[f"{kind}/{name}"] == pytest.approx(mean, rel=1e-6)  # event files hold float32


def test_the_columns_are_what_differs_with_types_and_values(small_sweep):
    experiment, _ = start(small_sweep)
    found = columns(experiment)
    assert {"optimizer", "loss", "batch_size", "samples_per_step"} <= set(found)
    assert not {"seed", "model", "data", "budget.steps", "sweep", "root"} & set(found)
    assert all(info["differs"] for info in found.values())
    assert found["batch_size"]["type"] == "DATA_TYPE_STRING"
    assert found["samples_per_step"]["type"] == "DATA_TYPE_FLOAT64"
    assert sorted(found["optimizer"]["domainDiscrete"]) == ["adam", "sgd"]
    assert sorted(found["samples_per_step"]["domainDiscrete"]) == [16.0, 1077.0]
    metrics = {info["name"]["tag"]: info for info in experiment["metricInfos"]}
    assert experiment["metricInfos"][0]["name"]["tag"] == "final/val/accuracy"
    assert metrics["best/val/nll"]["displayName"] == "val/nll (best)"
    assert "lower is better" in metrics["best/val/nll"]["description"]
    assert "best/test/accuracy" not in metrics  # test data chooses nothing
    assert not [tag for tag in metrics if "hp_metric" in tag]


def test_text_and_numbers_never_share_a_column(small_sweep, troubled_sweep):
    for sweep in (small_sweep, troubled_sweep):
        experiment, groups = start(sweep)
        kinds = {"DATA_TYPE_STRING": str, "DATA_TYPE_FLOAT64": float, "DATA_TYPE_BOOL": bool}
        for name, info in columns(experiment).items():
            values = [group["hparams"][name] for group in groups if name in group["hparams"]]
            assert {type(value) for value in values} == {kinds[info["type"]]}, name


def test_no_run_is_a_success_that_is_none(troubled_sweep):
    _, groups = start(troubled_sweep)
    found, expected = rows(groups), outcomes(troubled_sweep)
    assert set(found) == set(expected)
    status = {"completed": "STATUS_SUCCESS", "diverged": "STATUS_FAILURE", "failed": "STATUS_FAILURE"}
    seen = set()
    for arm, (_, statuses, metrics) in found.items():
        ended = [outcome["status"] for outcome in expected[arm]]
        seen |= set(ended)
        assert statuses == sorted(status.get(how, "STATUS_UNKNOWN") for how in ended)
        assert bool(metrics) == ("completed" in ended)  # never averaged in
    assert seen == {"completed", "diverged", "failed", "running"}


def test_there_is_one_experiment_and_no_run_beside_ours(small_sweep):
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(small_sweep))
    multiplexer.Reload()
    runs = set(multiplexer.Runs())
    arms = {path.parent.name for path in small_sweep.glob("*/seed=0")}
    assert runs == {".", *arms, *(f"{arm}/seed={seed}" for arm in arms for seed in (0, 1))}
    content = {run: set(multiplexer.PluginRunToTagToContent("hparams").get(run, {})) for run in runs}
    assert content["."] == {"_hparams_/experiment"}
    for arm in arms:
        assert content[arm] == set()
        assert content[f"{arm}/seed=0"] == {"_hparams_/session_start_info", "_hparams_/session_end_info"}

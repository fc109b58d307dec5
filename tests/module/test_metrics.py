"""Metrics against scikit-learn and torch, and their names against the one table of metrics."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    top_k_accuracy_score,
)
from torch import nn
from torchmetrics import MeanMetric

from bakeoff.losses import Huber
from bakeoff.module import metrics_for
from bakeoff.module.measured import Metrics
from bakeoff.module.task import KINDS
from bakeoff.runs import METRICS, metric_names
from bakeoff.runs.metrics import column_names

from .small import REAL, X, Y, loader, module, trainer


def test_classification_metrics_equal_scikit_learns(tmp_path):
    net = module()
    measured = trainer(tmp_path).test(net, loader(Y), verbose=False)[0]
    with torch.no_grad():
        probabilities = net(X).double().softmax(dim=1).numpy()
    top5 = np.mean([y in np.argsort(p)[-5:] for p, y in zip(probabilities, Y.numpy(), strict=True)])
    assert measured["test/accuracy"] == pytest.approx(accuracy_score(Y, probabilities.argmax(1)))
    assert measured["test/nll"] == pytest.approx(log_loss(Y, probabilities, labels=range(7)), rel=1e-5)
    assert measured["test/top5"] == pytest.approx(top5)
    assert measured["test/ece"] == pytest.approx(_ece(probabilities, Y.numpy()), abs=1e-5)
    assert measured["test/loss"] == pytest.approx(measured["test/nll"], rel=1e-5)


def _ece(probabilities, labels, bins=15):
    """Guo et al. 2017, equation 3."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    where = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(right[where == b].mean() - confidence[where == b].mean()) * (where == b).mean() for b in set(where)]
    return sum(gaps)


def test_regression_metrics_are_in_the_targets_own_units(tmp_path):
    mean, std = float(REAL.mean()), float(REAL.std())
    net = module(Huber(), n_out=1, target_std=std)
    measured = trainer(tmp_path).test(net, loader((REAL - mean) / std), verbose=False)[0]
    with torch.no_grad():
        predicted = net(X).squeeze(1) * std + mean
    error = (predicted - REAL).numpy()
    assert measured["test/rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert measured["test/mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert measured["test/r2"] == pytest.approx(r2_score(REAL, predicted), rel=1e-5)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1e4, 1.0), (1e5, 10.0)])
def test_r2_where_the_mean_is_large(mean, std):
    metrics = metrics_for("regression", 1)
    y = REAL * std + mean
    output = y + torch.randn(120, generator=torch.Generator().manual_seed(0)) * std
    metrics.update(torch.zeros(120), output[:, None], y[:, None])
    assert float(metrics.compute()["r2"]) == pytest.approx(r2_score(y.double(), output.double()), rel=1e-6)


def test_r2_of_several_outputs_is_a_mean_over_columns():
    y = torch.stack([REAL, REAL * 2 + 1000], dim=1)
    metrics = metrics_for("regression", 2)
    metrics.update(torch.zeros(120), y.mean(dim=0).expand(120, 2), y)
    assert float(metrics.compute()["r2"]) == pytest.approx(0.0, abs=1e-6)


def in_batches(metrics, loss, output, target, size=7):
    """What `metrics` says of all batches, whose last one is short."""
    for o, y in zip(output.split(size), target.split(size), strict=True):
        metrics.update(loss(o, y), o, y)
    return {name: float(value) for name, value in metrics.compute().items()}


@pytest.mark.parametrize("shape", [(), (5,), (4, 3)], ids=["flat", "tokens", "pixels"])
@pytest.mark.parametrize("ignored", [None, -100, 255, 2])
@pytest.mark.parametrize("is_function", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_label_that_is_not_ignored_counts_once(shape, ignored, weighted, is_function):
    generator = torch.Generator().manual_seed(1)
    output, target = (
        torch.randn(60, 7, *shape, generator=generator),
        torch.randint(0, 7, (60, *shape), generator=generator),
    )
    if ignored is not None:
        target[torch.rand(target.shape, generator=generator) < 0.3] = ignored
        target[:7] = ignored  # a whole batch
    weight = torch.linspace(0.5, 2, 7) if weighted else None
    options: dict[str, Any] = {"weight": weight, **({} if ignored is None else {"ignore_index": ignored})}
    loss: Any = partial(F.cross_entropy, **options) if is_function else nn.CrossEntropyLoss(**options)
    measured = in_batches(metrics_for("classification", 7, loss=loss), loss, output, target)

    keep = torch.ones_like(target, dtype=torch.bool) if ignored is None else target != ignored
    keep = keep.flatten().numpy()
    probabilities = output.double().softmax(1).movedim(1, -1).reshape(-1, 7).numpy()[keep]
    labels, classes = target.flatten().numpy()[keep], range(7)
    assert measured["accuracy"] == pytest.approx(accuracy_score(labels, probabilities.argmax(1)), rel=1e-6)
    assert measured["nll"] == pytest.approx(log_loss(labels, probabilities, labels=classes), rel=1e-5)
    assert measured["top5"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=classes), rel=1e-6)
    assert measured["ece"] == pytest.approx(_ece(probabilities, labels), abs=1e-5)
    assert measured["loss"] == pytest.approx(float(loss(output, target)), rel=1e-5)  # torch's, over the whole set


def test_a_loss_of_every_element_is_averaged_over_the_set():
    output, target = torch.randn(20, 3, 4), torch.randint(0, 3, (20, 4))
    loss = nn.CrossEntropyLoss(reduction="none")
    measured = in_batches(metrics_for("classification", 3, loss=loss), loss, output, target)
    assert measured["loss"] == pytest.approx(float(loss(output, target).mean()), rel=1e-5)


def test_a_second_pass_forgets_the_first():
    loss = nn.CrossEntropyLoss(ignore_index=0)
    metrics = metrics_for("classification", 3, loss=loss)
    for _ in range(2):
        output, target = torch.randn(20, 3, 4), torch.randint(0, 3, (20, 4))
        measured = in_batches(metrics, loss, output, target)
        metrics.reset()
        assert measured["loss"] == pytest.approx(float(loss(output, target)), rel=1e-5)


@pytest.mark.parametrize("label", [-100, -1, 3, 255])
def test_a_label_that_the_loss_does_not_say_it_ignores_is_named(label):
    target = torch.tensor([0, label, 1])
    with pytest.raises(ValueError, match=f"label {label}, but there are 3 classes.* attribute ignore_index={label}"):
        metrics_for("classification", 3).update(torch.zeros(3), torch.zeros(3, 3), target)


@pytest.mark.parametrize("columns", [2, 5, 16])
def test_each_column_is_measured_in_its_own_units(columns):
    generator = torch.Generator().manual_seed(2)
    std = tuple(10.0 ** (k % 4) for k in range(columns))
    target = torch.randn(50, columns, generator=generator)
    output = target + 0.3 * torch.randn(50, columns, generator=generator)
    measured = in_batches(metrics_for("regression", columns, std), nn.MSELoss(), output, target)

    y, p = (t.double().numpy() * np.array(std) for t in (target, output))
    assert measured["rmse"] == pytest.approx(np.sqrt(mean_squared_error(y, p)), rel=1e-5)
    assert measured["mae"] == pytest.approx(mean_absolute_error(y, p), rel=1e-5)
    assert measured["r2"] == pytest.approx(r2_score(y, p), rel=1e-9)
    each = {
        "rmse": np.sqrt(mean_squared_error(y, p, multioutput="raw_values")),
        "r2": r2_score(y, p, multioutput="raw_values"),
    }
    for name, values in each.items():
        assert [measured[f"{name}/{d}"] for d in range(columns)] == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize(("columns", "expected"), [(1, []), (2, ["rmse/0", "r2/0", "rmse/1", "r2/1"]), (17, [])])
def test_columns_are_measured_where_there_are_a_few(columns, expected):
    metrics = metrics_for("regression", columns)
    metrics.update(torch.zeros(3), torch.randn(3, columns), torch.randn(3, columns))
    assert column_names(columns) == expected
    assert sorted(metrics.compute()) == sorted([*metric_names("regression"), *expected])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_pass_without_a_batch_is_no_measurement(task):
    with pytest.raises(ValueError, match="there was no batch to measure: the loader gave none in this pass"):
        metrics_for(task, 3).compute()


def test_where_every_label_is_ignored_there_is_no_accuracy():
    loss = nn.CrossEntropyLoss()
    measured = in_batches(metrics_for("classification", 3, loss=loss), loss, torch.randn(4, 3), torch.full((4,), -100))
    assert all(np.isnan(value) for value in measured.values())


@pytest.mark.parametrize("columns", [1, 3])
def test_a_single_sample_has_no_variance_to_explain(columns):
    measured = in_batches(
        metrics_for("regression", columns), nn.MSELoss(), torch.ones(1, columns), torch.ones(1, columns)
    )
    assert np.isnan([measured[name] for name in measured if name.startswith("r2")]).all()
    assert measured["rmse"] == 0


@pytest.mark.parametrize("task", KINDS)
def test_every_metric_of_the_table_is_computed_for_its_task_and_no_other(task):
    names = list(metrics_for(task, 10).metrics)
    assert names == metric_names(task)
    assert all(not METRICS[name].tasks or task in METRICS[name].tasks for name in names)


def test_no_metric_of_the_table_is_left_out():
    computed = {name for task in KINDS for name in metrics_for(task, 10).metrics}
    assert computed == set(METRICS)


@pytest.mark.parametrize(("n_out", "expected"), [(2, False), (5, False), (6, True)])
def test_top5_needs_more_than_five_classes(n_out, expected):
    assert ("top5" in metrics_for("classification", n_out).metrics) is expected


@pytest.mark.parametrize(
    ("task", "name"), [("classification", "rmse"), ("regression", "accuracy"), ("regression", "f1")]
)
def test_a_metric_that_is_not_in_the_table_for_the_task_is_refused(task, name):
    with pytest.raises(ValueError, match=f"metrics for {task} must be among loss, .*, got {name}"):
        Metrics(task, {name: MeanMetric()})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_metrics_of_a_module_in_half_precision_are_not_rounded(dtype):
    generator = torch.Generator().manual_seed(0)
    output, y = torch.randn(20_000, 7, generator=generator).to(dtype), torch.arange(20_000) % 7
    classes = module(n_out=7).to(dtype).val_metrics
    targets = 10 * output[:, 1].float() + torch.randn(20_000, generator=generator)
    values = module(Huber(), n_out=1, target_std=300.0).to(dtype).val_metrics
    for rows in torch.arange(20_000).split(128):
        classes.update(torch.tensor(2.0, dtype=dtype), output[rows], y[rows])
        values.update(torch.tensor(2.0, dtype=dtype), output[rows, :1], targets[rows])
    found = {**classes.compute(), **{f"regression {name}": value for name, value in values.compute().items()}}
    logits, error = output.double().numpy(), (output[:, 0].double() - targets.double()).numpy()
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    expected = {
        "loss": 2.0,
        "accuracy": accuracy_score(y, logits.argmax(1)),
        "nll": log_loss(y, shifted / shifted.sum(1, keepdims=True)),
        "regression rmse": 300 * np.sqrt((error**2).mean()),
        "regression mae": 300 * np.abs(error).mean(),
        "regression r2": r2_score(targets, output[:, 0].float()),
    }
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [500.0, 1e-8, 1.0])
def test_metrics_of_logits_that_a_softmax_makes_equal(scale):
    output = scale * torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    y = torch.arange(500) % 7
    metrics = metrics_for("classification", 7)
    metrics.update(torch.tensor(0.0), output, y)
    found, logits = metrics.compute(), output.double().numpy()
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    assert float(found["accuracy"]) == pytest.approx(accuracy_score(y, logits.argmax(1)))
    assert float(found["top5"]) == pytest.approx(top_k_accuracy_score(y, logits, k=5, labels=range(7)))
    assert float(found["ece"]) == pytest.approx(_ece(probabilities, y.numpy()), abs=1e-5)


@pytest.mark.parametrize("columns", [1, 2])
def test_regression_far_from_zero(columns):
    generator = torch.Generator().manual_seed(0)
    target = 1e9 + torch.randn(300, columns, generator=generator).double()
    output = target + 0.5 * torch.randn(300, columns, generator=generator).double()
    metrics = metrics_for("regression", columns)
    for rows in torch.arange(300).split(64):
        metrics.update(torch.tensor(0.0), output[rows], target[rows])
    found, error = metrics.compute(), (output - target).numpy()
    assert float(found["rmse"]) == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
    assert float(found["mae"]) == pytest.approx(np.abs(error).mean(), rel=1e-6)
    assert float(found["r2"]) == pytest.approx(r2_score(target - 1e9, output - 1e9), rel=1e-6)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("unit", [1e-3, 1e-6, 1e-12, 1e12])
def test_r2_in_any_units(unit, columns):
    generator = torch.Generator().manual_seed(0)
    target = unit * torch.randn(60, columns, generator=generator).double()
    output = target + 0.5 * unit * torch.randn(60, columns, generator=generator).double()
    metrics = metrics_for("regression", columns)
    for rows in torch.arange(60).split(16):
        metrics.update(torch.tensor(0.0), output[rows], target[rows])
    assert float(metrics.compute()["r2"]) == pytest.approx(r2_score(target, output), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 / 3])
def test_r2_of_targets_that_are_all_the_same(value):
    target = torch.full((50, 1), value).double()
    for output, expected in ((target, 1.0), (target + 1, 0.0)):
        metrics = metrics_for("regression", 1)
        for rows in torch.arange(50).split(7):
            metrics.update(torch.tensor(0.0), output[rows], target[rows])
        assert float(metrics.compute()["r2"]) == expected == r2_score(target, output)

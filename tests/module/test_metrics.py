"""Metrics against scikit-learn, and their names against the one table of metrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score
from torchmetrics import MeanMetric

from bakeoff.losses import Huber
from bakeoff.module import metrics_for
from bakeoff.module.metrics import Metrics
from bakeoff.runs import METRICS, metric_names

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


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_metric_of_the_table_is_computed_for_its_task_and_no_other(task):
    names = list(metrics_for(task, 10).metrics)
    assert names == metric_names(task)
    assert all(METRICS[name].task in (None, task) for name in names)


def test_no_metric_of_the_table_is_left_out():
    computed = {name for task in ("classification", "regression") for name in metrics_for(task, 10).metrics}
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

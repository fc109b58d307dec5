"""README's lines that use a run's net give the numbers of the run: against scikit-learn, from the data's own values."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from bakeoff.data.split import split

from .stops import StopsAfter

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
[LINES] = re.findall(r"## Use a run's net\n.*?```python\n(.*?)```", README, re.DOTALL)
PATH = "outputs/main/default/seed=0/checkpoints/best.ckpt"
SIZES = {"test": 0.2, "val": 0.2}


def predict(folder, x, name="best"):
    """What README's lines give, as they stand there but for the path."""
    assert PATH in LINES
    scope = {"x": torch.as_tensor(x)}
    exec(LINES.replace(PATH, str(folder / "checkpoints" / f"{name}.ckpt")), scope)
    return scope["prediction"].numpy(), scope["checkpoint"]


def recorded(folder, metric):
    return json.loads((folder / "outcome.json").read_text())["metrics"][metric]


def test_regression_in_the_targets_own_units(make_run, tmp_path):
    make_run("data=diabetes", "loss=mse", "optimizer=adam", "optimizer.lr=0.01", "budget.epochs=8").train(tmp_path)
    source = load_diabetes(scaled=False)
    val = split(len(source.data), SIZES, split_seed=0)["val"]
    prediction, _ = predict(tmp_path, source.data[val])
    mistake = root_mean_squared_error(source.target[val], prediction)
    assert mistake == pytest.approx(recorded(tmp_path, "val/rmse")["best"], rel=1e-5)
    assert mistake < 70  # of a deviation of 77
    last, _ = predict(tmp_path, source.data[val], "last")
    expected = recorded(tmp_path, "val/mae")["final"]
    assert mean_absolute_error(source.target[val], last) == pytest.approx(expected, rel=1e-5)


def test_regression_on_columns_of_other_scales(make_run, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 5, (300, 4))
    y = x[:, :2] * [0.01, 900] + [3, -70]
    parts: dict[str, Any] = {
        "x_train": x[:200],
        "y_train": y[:200],
        "x_val": x[200:],
        "y_val": y[200:],
        "x_test": x,
        "y_test": y,
    }
    np.savez(tmp_path / "x.npz", **parts)
    command = ("data=array", f"data.path={tmp_path}/x.npz", "loss=mse", "model=linear", "budget.steps=40")
    make_run(*command, "metric=val/r2").train(tmp_path / "run")
    prediction, _ = predict(tmp_path / "run", x[200:])
    expected = recorded(tmp_path / "run", "val/r2")["best"]
    assert r2_score(y[200:], prediction) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.5


@pytest.mark.parametrize("model", ["mlp", "linear", "cnn"])
def test_classification(make_run, tmp_path, model):
    make_run(f"model={model}", "optimizer=adam", "optimizer.lr=0.01", "budget.steps=40").train(tmp_path)
    source = load_digits()
    val = split(len(source.images), SIZES, split_seed=0, labels=source.target)["val"]
    prediction, checkpoint = predict(tmp_path, source.images[val][:, None])
    expected = recorded(tmp_path, "val/accuracy")["best"]
    assert accuracy_score(source.target[val], prediction) == pytest.approx(expected, abs=1e-6)
    assert checkpoint["model"]["n_out"] == 10


def test_labels_that_are_no_indices_come_back(make_run, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, (300, 4)).astype(np.float32)
    y = np.array([-7, 40, 1000])[(x[:, 0] > 4).astype(int) + (x[:, 0] > 6)]
    np.savez(tmp_path / "x.npz", x_train=x[:200], y_train=y[:200], x_val=x[200:], y_val=y[200:], x_test=x, y_test=y)
    make_run("data=array", f"data.path={tmp_path}/x.npz", "budget.steps=60", "optimizer=adam").train(tmp_path / "run")
    prediction, _ = predict(tmp_path / "run", x[200:])
    expected = recorded(tmp_path / "run", "val/accuracy")["best"]
    assert set(prediction) <= {-7, 40, 1000}
    assert accuracy_score(y[200:], prediction) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.6


X = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
Y = (X.sum(1) > 6).long()


def unscaled():
    return TensorDataset(X, Y * 2 + 3)


class Pairs(Dataset):
    num_classes = 2

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Own(nn.Module):
    """Has a nested argument, of a class again."""

    def __init__(self, in_shape, n_out, activation, widths=(8, 4)):
        super().__init__()
        assert isinstance(widths, list)
        self.layers = nn.Sequential(nn.Linear(in_shape[0], widths[0]), activation, nn.Linear(widths[0], n_out))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize(("source", "labels"), [("unscaled", [3, 5]), ("Pairs", [0, 1])])
def test_data_that_is_served_as_it_is_and_a_net_of_ones_own(make_run, tmp_path, source, labels):
    model = (f"model._target_={__name__}.Own", "+model.activation._target_=torch.nn.Tanh", "model.widths=[12]")
    run = make_run(f"data._target_={__name__}.{source}", *model, "optimizer=adam", "budget.steps=30")
    run.train(tmp_path)
    labels_of = Y if source == "Pairs" else Y * 2 + 3
    chosen = split(200, SIZES, split_seed=0, labels=None if source == "Pairs" else labels_of.numpy())["val"]
    prediction, _ = predict(tmp_path, X[chosen])
    assert set(prediction) <= set(labels)
    expected = recorded(tmp_path, "val/accuracy")["best"]
    assert accuracy_score(labels_of[chosen], prediction) == pytest.approx(expected, abs=1e-6)


def several_labels():
    return TensorDataset(X, (X[:, :4] > 1).float())


def test_several_labels(make_run, tmp_path):
    make_run(f"data._target_={__name__}.several_labels", "loss=bce", "optimizer=adam", "budget.steps=30").train(
        tmp_path
    )
    chosen = split(200, SIZES, split_seed=0, labels=None)["val"]
    prediction, _ = predict(tmp_path, X[chosen])
    expected = recorded(tmp_path, "val/accuracy")["best"]
    assert (prediction == (X[chosen, :4] > 1)).float().mean().item() == pytest.approx(expected, abs=1e-6)


def test_a_checkpoint_of_before_is_resumed(make_run, tmp_path):
    """Schema 2 without the description of net and data."""
    command = ("budget.steps=30", "batch_size=64")
    whole = make_run(*command).train(tmp_path / "whole")
    make_run(*command).train(tmp_path / "run", stop=StopsAfter(11))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    assert {"model", "scaling"} <= set(content)
    torch.save({key: value for key, value in content.items() if key not in ("model", "scaling", "task")}, path)
    resumed = make_run(*command).train(tmp_path / "run")
    assert resumed.metrics == whole.metrics
    assert not list(path.parent.glob("*.old")) + list(path.parent.glob("*.damaged"))

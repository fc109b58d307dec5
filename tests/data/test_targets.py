"""Which task the targets mean, and how they are encoded for it."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from bakeoff.data import array
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.arange(60) % 3


@pytest.mark.parametrize("labels", [[3, 7, 9], [-1, 0, 1], [0, 1, 3]])
def test_labels_are_mapped_in_increasing_order(labels):
    data, plain = array(x=X, y=np.array(labels)[Y]), array(x=X, y=Y)
    for ours, expected in zip(data.parts().values(), plain.parts().values(), strict=True):
        assert torch.equal(ours[0], expected[0])
        assert torch.equal(ours[1], expected[1])
    assert data.classes.tolist() == labels


def test_contiguous_labels_stay_what_they_are():
    data = array(x_train=X, y_train=Y, x_val=X[::-1], y_val=Y[::-1], x_test=X, y_test=Y)
    np.testing.assert_array_equal(data.val[1], Y[::-1])


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (Y.astype(np.uint8), "classification"),
        (Y.astype(">i4"), "classification"),
        (Y == 1, "classification"),
        (Y[:, None], "classification"),
        (Y.astype(np.float32), "regression"),
        (X, "regression"),
    ],
    ids=["uint8", "big-endian", "bool", "column", "float", "matrix"],
)
def test_task_follows_the_dtype(y, task):
    data = array(x=X, y=y)
    assert data.task == task
    assert data.train[1].shape[1:] == (() if task == "classification" else (data.n_out,))


def test_task_can_be_overridden():
    assert array(x=X, y=Y, task="regression").train[1].dtype == torch.float32
    assert array(x=X, y=Y.astype(float), task="classification").digest() == array(x=X, y=Y).digest()


def test_each_column_is_scaled_by_its_own_mean_and_deviation():
    y = StandardScaler().fit(X * [1, 20, 300] + [0, -5, 1e6])
    raw = X * [1, 20, 300] + [0, -5, 1e6]
    data = array(x_train=X, y_train=raw, x_val=X[:9], y_val=raw[:9], x_test=X[:9], y_test=raw[:9])
    assert data.n_out == 3
    assert data.target_mean == pytest.approx(y.mean_)
    assert data.target_std == pytest.approx(y.scale_)
    np.testing.assert_allclose(data.train[1], y.transform(raw), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(data.val[1], y.transform(raw[:9]), rtol=1e-4, atol=1e-5)


def test_one_column_keeps_plain_numbers():
    flat, column = array(x=X, y=X[:, 0]), array(x=X, y=X[:, :1])
    assert type(flat.target_mean) is type(flat.target_std) is float
    assert flat.digest() == column.digest()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(3)[Y], r"y holds a single 1 in each row of 3 columns \(one-hot\)"),
        (
            (X[:, 0] > 0).astype(np.float32),
            "y holds only 0 and 1 in the .*task=classification .*, data.task=regression",
        ),
        ((X[:, :1] > 0).astype(float), "y holds only 0 and 1 in the arrays given: .*task=classification"),
        (
            np.exp(X) / np.exp(X).sum(1, keepdims=True),
            r"y holds numbers >= 0 in 3 columns that sum to 1 \(class probab",
        ),
    ],
    ids=["one-hot", "binary", "binary column", "probabilities"],
)
def test_classes_in_floating_point_are_ranked_by_rmse_only_when_asked_to(y, message):
    with pytest.raises(UserError, match=message) as caught:
        array(x=X, y=y)
    assert "\n" not in str(caught.value)
    assert array(x=X, y=y, task="regression").task == "regression"


@pytest.mark.parametrize("y", [Y.astype(float), (X > 0) * 2.0, np.abs(X), -np.eye(3)[Y]])
def test_other_reals_are_quantities(y):
    assert array(x=X, y=y).task == "regression"


@pytest.mark.parametrize(("kind", "task"), [(float, None), (int, "multilabel"), (bool, "multilabel")])
def test_several_labels_a_sample(kind, task):
    data = array(x=X, y=(X > 0).astype(kind), task=task)
    assert (data.task, data.n_out, data.target_std, data.train[1].dtype) == ("multilabel", 3, 1.0, torch.float32)


def test_images_as_targets_have_one_mean_and_one_standard_deviation():
    y = RNG.normal(3, 2, size=(60, 1, 4, 4))
    data = array(x_train=X, y_train=y, x_val=X, y_val=y, x_test=X, y_test=y)
    assert (data.task, data.n_out, tuple(data.train[1].shape)) == ("regression", 1, (60, 1, 4, 4))
    assert (data.target_mean, data.target_std) == pytest.approx((y.mean(), y.std()))


def test_binary_labels_may_be_asked_for():
    y = (X[:, 0] > 0).astype(float)
    assert array(x=X, y=y, task="classification").digest() == array(x=X, y=y.astype(int)).digest()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": np.zeros(60, int)}, "y must hold at least 2 classes in the arrays given, got only 0"),
        ({"x": X, "y": np.ones(60)}, r"y must vary .* every training target is 1\.0"),
        ({"x": X, "y": X * [1, 0, 1]}, r"y must vary .* column 1 of every training target is -?0\.0"),
        ({"x": X, "y": np.where(Y == 1, -100, Y)}, "y holds -100 .* which losses ignore: drop these samples"),
        ({"x": X, "y": X, "task": "classification"}, "whole numbers for classification .* give data.task=regression"),
        ({"x_train": X, "y_train": Y, "x_val": X, "y_val": X.astype(int)}, r"y of val must hold one label a sample"),
        ({"x": X, "y": Y, "num_classes": 2}, "labels 0 to 2 in .* but num_classes=2: labels must be in .0, 2."),
        ({"x": X, "y": Y, "num_classes": 1}, "data.num_classes must be a whole number >= 2, got 1"),
        ({"x": X, "y": X, "num_classes": 3}, "num_classes=3: a task of regression has no classes; leave it out"),
        (
            {"x": X, "y": X[:, 0], "task": "classification"},
            "whole numbers for classification .* give data.task=regression",
        ),
        (
            {"x_train": X, "y_train": np.ones((60, 2, 2)) * X[:, :1, None], "x_val": X, "y_val": X},
            r"must be \(N, 2, 2\)",
        ),
        ({"x": X, "y": X, "task": "multilabel"}, "y of train must hold 0 and 1 alone for multilabel"),
        ({"x_train": X, "y_train": X, "x_val": X, "y_val": X[:, 0]}, r"y of val must be .* got \(60,\)"),
        (
            {"x": X, "y": Y, "task": "ranking"},
            "task must be one of classification, multilabel, regression in .* got 'ranking'",
        ),
    ],
)
def test_unusable_arrays_are_refused_in_one_line(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        array(**arrays)
    assert "\n" not in str(caught.value)

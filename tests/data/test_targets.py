"""Which task the targets mean, and how they are encoded for it."""

import numpy as np
import pytest
import torch

from bakeoff.data import array
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.arange(60) % 3


@pytest.mark.parametrize("labels", [[3, 7, 9], [-1, 0, 1], [0, 1, 3]])
def test_labels_are_mapped_in_increasing_order(labels):
    data = array(x=X, y=np.array(labels)[Y])
    assert data.digest() == array(x=X, y=Y).digest()


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


def test_targets_of_several_columns_share_one_scale():
    data = array(x_train=X, y_train=X * [1, 2, 3], x_val=X, y_val=X * [1, 2, 3])
    assert data.n_out == 3
    assert data.target_std == pytest.approx((X[data_rows(data)] * [1, 2, 3]).std(), rel=1e-5)


def data_rows(data):
    y = data.train[1].numpy()[:, 0] * data.target_std + data.target_mean
    return [int(np.abs(X[:, 0] - value).argmin()) for value in y]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": np.zeros(60, int)}, "y must hold at least 2 classes in the arrays given, got only 0"),
        ({"x": X, "y": np.ones(60)}, r"y must vary .* every training target is 1\.0"),
        ({"x": X, "y": X, "task": "classification"}, "one label a sample"),
        ({"x": X, "y": X[:, 0], "task": "classification"}, "whole numbers for classification .* set task=regression"),
        ({"x": X, "y": RNG.normal(size=(60, 2, 2))}, r"must be \(N,\) or \(N, 4\)"),
        ({"x_train": X, "y_train": X, "x_val": X, "y_val": X[:, 0]}, r"y of val must be .* got \(60,\)"),
        ({"x": X, "y": Y, "task": "ranking"}, "task must be classification or regression .* got 'ranking'"),
    ],
)
def test_unusable_arrays_are_refused_in_one_line(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        array(**arrays)
    assert "\n" not in str(caught.value)

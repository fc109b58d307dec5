"""The fields of a DataSpec that a batch and common attributes of a data set give."""

import numpy as np
import pytest
import torch

from bakeoff.data import as_datamodule
from bakeoff.errors import UserError

from .datasets import Bare, drawn


@pytest.mark.parametrize(
    ("make", "attributes", "expected"),
    [
        (lambda i: (torch.full((2, 3), float(i)), i % 2), {}, ("classification", (2, 3), None)),
        (lambda i: (np.zeros((2, 3), np.float32), i % 2), {"n_out": 7}, ("classification", (2, 3), 7)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"num_classes": 5}, ("classification", (2,), 5)),
        (lambda i: (drawn(i, 2), i % 2), {"num_classes": np.int64(6)}, ("classification", (2,), 6)),
        (lambda i: (drawn(i, 2), i % 2), {"num_classes": torch.tensor(7)}, ("classification", (2,), 7)),
        (lambda i: (drawn(i, 2), i % 2), {"classes": np.array(["a", "b"])}, ("classification", (2,), 2)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"n_classes": 4}, ("classification", (2,), 4)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"classes": ["a", "b", "c"]}, ("classification", (2,), 3)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"targets": [0, 1, 2, 3] * 5}, ("classification", (2,), 4)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"targets": ["x"] * 20}, ("classification", (2,), None)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"targets": [0, 1]}, ("classification", (2,), None)),
        (lambda i: (torch.full((2,), float(i)), i % 2), {"targets": 3}, ("classification", (2,), None)),
        (lambda i: (torch.full((2,), float(i)), torch.tensor(i % 2 == 0)), {}, ("classification", (2,), None)),
        (lambda i: (torch.full((2,), float(i)), float(i)), {"n_out": 9}, ("regression", (2,), 1)),
        (
            lambda i: (torch.full((2,), float(i)), drawn(i, 3)),
            {"targets": torch.rand(20, 3)},
            ("regression", (2,), 3),
        ),
        (lambda i: (float(i), drawn(i, 2, 2)), {}, ("regression", (), 2)),
        (lambda i: [torch.full((2,), float(i)), i], {}, ("classification", (2,), None)),
    ],
)
def test_fields_follow_a_sample_and_common_attributes(make, attributes, expected):
    source = Bare(make)
    for name, value in attributes.items():
        setattr(source, name, value)
    _, spec = as_datamodule(source, batch_size=4, seed=0)
    assert (spec.task, spec.in_shape, spec.n_out) == expected
    assert (spec.n_train, spec.steps_per_epoch) == (12, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda i: (torch.full((2,), float(i)), float(i % 2)),
            "y holds only 0 and 1 in Bare: give whole numbers .* task=",
        ),
        (
            lambda i: (torch.full((2,), float(i)), torch.eye(5)[i % 5]),
            r"y holds a single 1 in each row of 5 columns \(one-hot\) in Bare: give the class",
        ),
        (lambda i: (torch.full((2,), float(i)), drawn(i, 3).softmax(0)), "in 3 columns that sum to 1"),
        (lambda i: (torch.full((2,), float(i)), float(i > 100)), "y holds only 0 and 1 in Bare"),
    ],
    ids=["binary", "one-hot", "probabilities", "sorted"],
)
def test_classes_in_floating_point_are_regressed_on_only_when_asked_to(make, message):
    source = Bare(make, n=200)
    with pytest.raises(UserError, match=message):
        as_datamodule(source, batch_size=4, seed=0)
    vars(source)["task"] = "regression"
    assert as_datamodule(source, batch_size=4, seed=0)[1].task == "regression"


def test_several_labels_a_sample_are_known_by_their_values():
    source = Bare(lambda i: (torch.full((2,), float(i)), (drawn(i, 5) > 0.5).float()), n=200)
    spec = as_datamodule(source, batch_size=4, seed=0)[1]
    assert (spec.task, spec.n_out) == ("multilabel", 5)


def test_quantities_that_begin_with_0_are_quantities():
    source = Bare(lambda i: (torch.full((2,), float(i)), max(0.0, i - 100.0)), n=200)
    assert as_datamodule(source, batch_size=4, seed=0)[1].task == "regression"


@pytest.mark.parametrize(
    ("task", "y"), [("regression", 1), ("multilabel", torch.tensor([True, False])), ("classification", 1.5)]
)
def test_a_task_that_does_not_fit_the_targets_is_refused(task, y):
    source = Bare(lambda i: (torch.full((2,), float(i)), y))
    vars(source)["task"] = task
    remedy = r"y\.long\(\)" if task == "classification" else r"y\.float\(\)"
    needs = f"Bare says task={task}, which needs targets of .* numbers, but they are"
    with pytest.raises(UserError, match=f"{needs} .*: give {remedy}$"):
        as_datamodule(source, batch_size=4, seed=0)


@pytest.mark.parametrize("task", ["detection", 3, None, np.zeros(2)])
def test_another_packages_attribute_of_that_name_says_nothing(task):
    source = Bare(lambda i: (torch.full((2,), float(i)), i))
    vars(source)["task"] = task
    assert as_datamodule(source, batch_size=4, seed=0)[1].task == "classification"

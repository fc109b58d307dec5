"""Which outputs and targets the metrics fit, and what is said of those that they do not."""

import pytest
import torch
from torch.nn import functional as F

from bakeoff.module import metrics_for
from bakeoff.module.shapes import misfit, misread, takes_classes_at

LONG, REAL = torch.long, torch.float32


@pytest.mark.parametrize(
    ("task", "n_out", "output", "target"),
    [
        ("classification", 5, (2, 5), (2,)),
        ("classification", 5, (2, 5, 7), (2, 7)),
        ("classification", 5, (2, 5, 5), (2, 5)),  # classes at axis 1, by convention
        ("classification", 4, (2, 4, 8, 6), (2, 8, 6)),
        ("classification", 1, (2, 1), (2,)),
        ("regression", 1, (2, 1), (2, 1)),
        ("regression", 1, (2,), (2, 1)),
        ("regression", 1, (2, 1), (2,)),
        ("regression", 1, (2,), (2,)),
        ("regression", 3, (2, 3), (2, 3)),
        ("regression", 1, (2, 1, 4, 4), (2, 1, 4, 4)),
        ("multilabel", 3, (2, 3), (2, 3)),
        ("multilabel", 1, (2, 1), (2,)),
        ("multilabel", 1, (2, 1, 4, 4), (2, 1, 4, 4)),
    ],
)
def test_fits(task, n_out, output, target):
    y = torch.zeros(target, dtype=LONG if task == "classification" else REAL)
    assert misfit(torch.zeros(output), y, task=task, n_out=n_out) is None


@pytest.mark.parametrize(
    ("task", "n_out", "output", "target", "reason"),
    [
        ("classification", 5, (14, 5), (2, 7), r"gives \(14, 5\) for targets \(2, 7\); metrics need \(2, 5, 7\)"),
        ("classification", 5, (2, 5), (2, 7), r"metrics need \(2, 5, 7\), or the classes on the last axis"),
        (
            "classification",
            5,
            (2, 5),
            (2, 5),
            r"several labels an example \(multi-label\), each 0 or 1, they must be floating-point",
        ),
        ("classification", 5, (2, 5), (2, 1), r"metrics need \(2, 5, 1\)"),
        ("classification", 5, (2, 5, 1, 1), (2,), r"gives \(2, 5, 1, 1\) for targets \(2,\); metrics need \(2, 5\)"),
        ("classification", 5, (2, 3), (2,), "gives 3 outputs, but the data needs n_out=5"),
        ("classification", 5, (2,), (2,), "gives 1 outputs, but the data needs n_out=5"),
        ("regression", 3, (2, 2), (2, 3), "gives 2 outputs, but the data needs n_out=3"),
        ("regression", 1, (2, 1, 1), (2, 1), r"metrics need \(2, 1\) for both"),
        ("regression", 3, (2, 3), (2,), r"metrics need \(2, 3\) for both"),
    ],
)
def test_does_not_fit(task, n_out, output, target, reason):
    y = torch.zeros(target, dtype=LONG if task == "classification" else REAL)
    with pytest.raises(ValueError, match=f"the net .*{reason}") as caught:
        metrics_for(task, n_out).update(torch.zeros(2), torch.zeros(output), y)
    assert "\n" not in str(caught.value)


def over_last_axis(output, target):
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


def over_axis_1(output, target):
    return F.cross_entropy(output, target, reduction="none")


def of_another_kind(output, target):
    return output.square().mean()


@pytest.mark.parametrize(("loss", "axis"), [(over_last_axis, -1), (over_axis_1, 1), (of_another_kind, None)])
def test_axes_of_one_length_are_told_apart_by_the_loss(loss, axis):
    generator = torch.Generator().manual_seed(0)
    target, output = torch.randint(0, 5, (2, 5), generator=generator), torch.randn(2, 5, 5, generator=generator)
    assert [takes_classes_at(known, loss, output, target) for known in (1, -1)] == [axis == 1, axis == -1]


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 3)])
def test_probabilities_are_no_logits(shape):
    logits = torch.randn(shape)
    assert str(misread(logits.softmax(1))).startswith("gives probabilities; metrics need logits")
    assert misread(logits.log_softmax(1)) is None


@pytest.mark.parametrize(
    ("output", "target", "reason"),
    [
        ({"logits": torch.zeros(2, 5)}, torch.zeros(2, dtype=LONG), r"gives a dict; it must give one tensor, \(2, 5\)"),
        ((torch.zeros(2, 5),), torch.zeros(2, 7, dtype=LONG), r"gives a tuple; it must give one tensor, \(2, 5, 7\)"),
        (torch.zeros(2, 5, dtype=LONG), torch.zeros(2, dtype=LONG), "must give floating-point numbers"),
        (torch.zeros(2, 5), torch.zeros(2), r"the targets are torch.float32: give whole numbers"),
    ],
)
def test_what_is_no_tensor_of_reals(output, target, reason):
    assert reason.replace("\\", "") in str(misfit(output, target, task="classification", n_out=5))

"""Which label a loss ignores, wherever it says so, and the calibration error of many elements."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from bakeoff.losses import CrossEntropy
from bakeoff.module import registered
from bakeoff.module.counted import BinnedCalibrationError, CountedLabels, check_labels


class Holds:
    """Holds a module, and is none."""

    ignore_index = 9

    def __init__(self):
        self.loss = nn.Linear(1, 1)

    def __call__(self, output, target):
        return F.cross_entropy(output, target, ignore_index=9)


@pytest.mark.parametrize(
    ("loss", "ignored"),
    [
        (nn.CrossEntropyLoss(), -100),
        (nn.NLLLoss(ignore_index=255), 255),
        (partial(F.cross_entropy, ignore_index=0), 0),
        (F.cross_entropy, None),
        (CrossEntropy(), None),
        (registered(Holds(), nn.Linear(2, 2)), 9),
    ],
)
def test_the_label_that_a_loss_says_it_ignores(loss, ignored):
    assert CountedLabels(loss).ignored == ignored
    target = torch.tensor([[0, 1], [2, 1 if ignored is None else ignored]])
    check_labels(target, 3, loss)
    with pytest.raises(ValueError, match="label 7, but there are 3 classes"):
        check_labels(target.masked_fill(target == 1, 7), 3, loss)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_named(label):
    with pytest.raises(ValueError, match=f"label {label}, but there are 3 classes, 0 to 2"):
        check_labels(torch.tensor([0, label]), 3, CrossEntropy())


def test_binned_calibration_error_is_torchmetrics():
    probabilities, labels = torch.randn(5000, 6).mul(2).softmax(1), torch.randint(0, 6, (5000,))
    probabilities[0] = torch.tensor([1.0, 0, 0, 0, 0, 0])  # on the last edge
    binned = BinnedCalibrationError(15)
    for part in zip(probabilities.split(700), labels.split(700), strict=True):
        binned.update(*part)
    expected = multiclass_calibration_error(probabilities, labels, num_classes=6, n_bins=15)
    assert float(binned.compute()) == pytest.approx(
        float(expected), abs=1e-4
    )  # torchmetrics gives 1.0 a bin of its own

"""Labels of tokens and pixels in arrays: which classes they are, and what could be something else is asked for."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from bakeoff.data import array, as_datamodule
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 6, (60, 9))
TABLE, SEQUENCES = RNG.normal(size=(60, 9)), RNG.normal(size=(60, 9, 2))
IMAGES, PIXELS = RNG.normal(size=(60, 3, 4, 5)), RNG.integers(0, 4, (60, 4, 5))
VOID = np.where(RNG.random(PIXELS.shape) < 0.2, 255, PIXELS)


@pytest.mark.parametrize(
    ("x", "y", "given", "n_out"),
    [
        (TOKENS, np.roll(TOKENS, -1, 1), {}, 6),
        (SEQUENCES, TOKENS.astype(np.uint8), {}, 6),
        (SEQUENCES.swapaxes(1, 2), TOKENS, {}, 6),
        (TABLE, TOKENS, {"task": "classification"}, 6),
        (TABLE, TOKENS % 2, {"task": "classification"}, 2),
        (IMAGES, PIXELS, {}, 4),
        (IMAGES, PIXELS.astype(float), {"task": "classification"}, 4),
        (IMAGES, PIXELS % 2, {}, 2),
        (IMAGES[:, 0], PIXELS, {}, 4),
        (IMAGES, np.where(PIXELS == 0, -100, PIXELS - 1), {}, 3),
        (IMAGES, VOID, {"ignore_index": 255}, 4),
        (IMAGES, PIXELS, {"ignore_index": 0}, 4),  # the classes of a net keep their numbers
        (IMAGES, PIXELS, {"ignore_index": 3}, 3),
        (IMAGES, PIXELS * 2, {"num_classes": 7}, 7),
    ],
)
def test_labels_stay_what_they_are(x, y, given, n_out):
    data = array(x_train=x, y_train=y, x_val=x[:9], y_val=y[:9], x_test=x[9:20], y_test=y[9:20], **given)
    assert (data.task, data.n_out, data.classes.tolist()) == ("classification", n_out, list(range(n_out)))
    for part, expected in (("train", y), ("val", y[:9]), ("test", y[9:20])):
        labels = data.parts()[part][1]
        assert labels.dtype == torch.int64
        np.testing.assert_array_equal(labels, expected)


def test_classes_are_those_of_all_parts_as_of_one_label_a_sample():
    """A part may lack one, be it the training part."""
    dense = array(x_train=IMAGES, y_train=np.minimum(PIXELS, 2), x_val=IMAGES, y_val=PIXELS)
    one = array(x_train=IMAGES, y_train=np.arange(60) % 3, x_val=IMAGES, y_val=np.arange(60) % 4)
    assert dense.n_out == one.n_out == 4


def test_parts_that_are_split_off_hold_each_sample_once():
    marks = np.arange(60)[:, None, None] * np.ones((1, 4, 5))
    data = array(x=marks, y=PIXELS, standardise=False)
    assert sorted(int(x[0, 0]) for part, _ in data.parts().values() for x in part) == list(range(60))
    for xs, ys in data.parts().values():
        np.testing.assert_array_equal(ys, PIXELS[xs[:, 0, 0].int()])


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
def test_tokens_are_not_standardised_where_that_is_said(kind):
    data = array(x=TOKENS.astype(kind), y=TOKENS, standardise=False)
    assert data.train[0].dtype == torch.int64
    assert data.input_mean is None
    assert set(data.train[0].flatten().tolist()) == set(range(6))
    scaled = array(x=TOKENS.astype(kind), y=TOKENS)
    np.testing.assert_allclose(scaled.train[0].mean(0), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": TABLE, "y": TOKENS % 2},
            r"y holds only 0 and 1, \(N, 9\) for inputs \(N, 9\), .* say data.task, .*: multilabel if .* classific",
        ),
        ({"x": TOKENS, "y": TOKENS > 2}, r"y holds only 0 and 1, \(N, 9\)"),
        ({"x": TABLE, "y": np.eye(9, dtype=int)[TOKENS[:, 0]]}, r"a class a sample \(one-hot\), give its number"),
        (
            {"x": TABLE, "y": RNG.poisson(3, (60, 9))},
            r"whole numbers \(N, 9\) for inputs \(N, 9\), .*: classification if .* regression if they are counts",
        ),
        ({"x": TABLE, "y": RNG.poisson(3, (60, 2))}, r"whole numbers \(N, 2\) for inputs \(N, 9\), .* regression if"),
        (
            {"x": IMAGES, "y": PIXELS[:, :2]},
            r"whole numbers \(N, 2, 5\) for inputs \(N, 3, 4, 5\), .* classification if",
        ),
        (
            {"x": IMAGES, "y": PIXELS[:, None], "task": "classification"},
            r"\(N, H, W\) of images \(N, 3, 4, 5\), got \(N, 1, 4, 5\): drop the axis of length 1 \(y\[:, 0\]\)",
        ),
        (
            {"x_train": IMAGES, "y_train": PIXELS, "x_val": IMAGES, "y_val": PIXELS[:, :3]},
            r"one shape in all parts of .*, got \(N, 4, 5\) in train, \(N, 3, 5\) in val",
        ),
        ({"x": IMAGES, "y": VOID}, r"labels 0, 1, 2, 3, 255 .* data.num_classes=256 .*ignore_index \(now -100\)"),
        ({"x": IMAGES, "y": PIXELS + 1}, "labels 1, 2, 3, 4 in .*, and not all of 0 to 4: renumber them"),
        ({"x": IMAGES, "y": PIXELS - 1}, "labels -1, 0, 1, 2 in .* must be 0 to C - 1; the loss's ignore_index"),
        ({"x": IMAGES, "y": PIXELS, "num_classes": 3}, "num_classes=3: labels must be in .0, 3."),
        ({"x": IMAGES, "y": PIXELS * 0}, "at least 2 classes in .*, got only 0"),
        ({"x": IMAGES, "y": PIXELS * 0 - 100}, "at least 2 classes in .*, got only -100, which is ignored"),
        ({"x": IMAGES, "y": PIXELS + 0.5, "task": "classification"}, "y must hold whole numbers for classification"),
        (
            {"x_train": IMAGES, "y_train": PIXELS, "x_val": IMAGES, "y_val": PIXELS * 0 - 100},
            "every label of val is -100, which is ignored",
        ),
        ({"x": IMAGES, "y": PIXELS[:50]}, "x and y must be equally long in .*, got 60 and 50 samples"),
        ({"x": IMAGES, "y": PIXELS, "standardise": "no"}, "data.standardise must be true or false, got no"),
        ({"x": IMAGES, "y": PIXELS, "ignore_index": 0.5}, "data.ignore_index must be a whole number, got 0.5"),
    ],
)
def test_what_may_be_something_else_is_asked_for_in_one_line(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        array(**arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_the_answer_decides(task):
    data = array(x=TABLE, y=TOKENS % 2, task=task)
    assert (data.task, data.n_out) == (task, 2 if task == "classification" else 9)


def test_a_tensor_dataset_says_its_task_and_its_classes_by_attributes():
    data = TensorDataset(torch.tensor(TABLE), torch.tensor(TOKENS % 2))
    with pytest.raises(
        UserError, match=r"0 and 1, \(N, 9\) for inputs \(N, 9\), in the TensorDataset: .*an attribute task"
    ):
        as_datamodule(data, batch_size=4, seed=0)
    vars(data).update(task="classification", num_classes=3)
    assert as_datamodule(data, batch_size=4, seed=0)[1].n_out == 3


def test_the_label_that_the_loss_ignores_is_no_class_of_a_tensor_dataset():
    data = TensorDataset(torch.tensor(IMAGES), torch.tensor(VOID))
    with pytest.raises(UserError, match="labels 0, 1, 2, 3, 255"):
        as_datamodule(data, batch_size=4, seed=0)
    assert as_datamodule(data, batch_size=4, seed=0, ignore_index=255)[1].n_out == 4

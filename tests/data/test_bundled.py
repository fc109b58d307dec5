"""The data sets of scikit-learn, against scikit-learn itself."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits

from bakeoff.data import diabetes, digits


def test_digits_are_small_images():
    data = digits()

    assert (data.in_shape, data.n_in, data.n_out, data.task) == ((1, 8, 8), 64, 10, "classification")
    assert [len(x) for x, _ in data.parts().values()] == [1077, 360, 360]
    assert {x.dtype for x, _ in data.parts().values()} == {torch.float32}
    assert {y.dtype for _, y in data.parts().values()} == {torch.int64}


def test_digits_parts_put_together_are_the_whole():
    data = digits()
    labels = torch.cat([y for _, y in data.parts().values()])

    np.testing.assert_array_equal(np.bincount(labels), np.bincount(load_digits().target))
    for _, y in data.parts().values():  # stratified
        np.testing.assert_allclose(np.bincount(y) / len(y), 0.1, atol=0.01)


def test_digits_are_standardised_per_channel_by_the_training_part_alone():
    data = digits(split_seed=5)
    x = np.concatenate([x.numpy() for x, _ in data.parts().values()])
    raw = load_digits().images  # recovered from the data: the smallest raw value is 0, the largest 16
    scale = 16 / (x.max() - x.min())
    train = np.round((data.train[0].numpy() - x.min()) * scale)

    assert sorted(train.sum(axis=(1, 2, 3))) != sorted(raw.sum(axis=(1, 2)))
    for part, _ in data.parts().values():
        values = np.round((part.numpy() - x.min()) * scale)
        np.testing.assert_allclose(part, (values - train.mean()) / train.std(), atol=1e-5)


def test_diabetes_is_standardised_per_feature_and_its_target_too():
    data = diabetes()
    source = load_diabetes(scaled=False)
    assert (data.task, data.in_shape, data.n_in, data.n_out) == ("regression", (10,), 10, 1)

    np.testing.assert_allclose(data.train[0].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train[0].std(0, correction=0), 1, atol=1e-6)
    assert abs(data.test[0].mean()) > 1e-3  # its own statistics were not used
    y = torch.cat([y for _, y in data.parts().values()]) * torch.tensor(data.target_std) + torch.tensor(
        data.target_mean
    )
    np.testing.assert_allclose(np.sort(y[:, 0]), np.sort(source.target), rtol=1e-5)

"""Inputs and targets are standardised by the statistics of the training part."""

from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.data import array
from bakeoff.data.standardise import moments, standardise


def test_statistics_come_from_the_training_part_alone():
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {
        f"x_{part}": rng.normal(5, 3, (n, 4)) for part, n in [("train", 30), ("val", 10), ("test", 10)]
    }
    targets: dict[str, Any] = {
        f"y_{part}": rng.normal(-2, 7, n) for part, n in [("train", 30), ("val", 10), ("test", 10)]
    }

    data = array(**parts, **targets)

    mean, std = parts["x_train"].mean(0), parts["x_train"].std(0)
    for name, (x, y) in data.parts().items():
        np.testing.assert_allclose(x, (parts[f"x_{name}"] - mean) / std, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            y[:, 0].numpy() * np.asarray(data.target_std) + np.asarray(data.target_mean),
            targets[f"y_{name}"],
            rtol=1e-5,
            atol=1e-5,
        )
    assert data.target_mean == pytest.approx(targets["y_train"].mean())
    assert data.target_std == pytest.approx(targets["y_train"].std())


def test_images_have_one_mean_and_deviation_a_channel():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2500, 3, 4, 5), dtype=np.uint8)  # more than one block of rows
    x[:, 2] //= 16

    data = array(x_train=x, y_train=np.arange(2500) % 2, x_val=x, y_val=np.arange(2500) % 2)

    train = data.train[0]
    np.testing.assert_allclose(train.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(train.std((0, 2, 3), correction=0), 1, atol=1e-5)
    assert train.mean(0).abs().max() > 1e-3  # not a mean a pixel


def test_constant_feature_is_centred_and_divided_by_one():
    x = np.random.default_rng(0).normal(size=(40, 2))
    x[:, 1] = 0.1

    data = array(x=x, y=np.arange(40) % 2)

    np.testing.assert_allclose(data.train[0][:, 1], 0, atol=1e-6)


def test_large_offset_does_not_swallow_the_values():
    x = 1.7e9 + np.arange(40.0)  # seconds since 1970, one feature without an axis of its own

    data = array(x=x, y=np.arange(40) % 2)

    assert data.in_shape == (1,)
    assert len(data.train[0].unique()) == len(data.train[0])


def test_statistics_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(0).normal(size=(5000, 1, 8, 8)).astype(np.float32)
    threads = torch.get_num_threads()
    try:
        digests = set()
        for n in (1, 2):
            torch.set_num_threads(n)
            digests.add(array(x=x, y=np.arange(5000) % 2).digest())
    finally:
        torch.set_num_threads(threads)
    assert len(digests) == 1


@pytest.mark.parametrize("value", [0.1, 1e20, 9.96920996838687e36])
def test_a_constant_is_centred_exactly(value):
    x = np.full((1077, 2), value)
    mean, std = moments(x)
    assert not standardise(x, mean, std).any()

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits

from bakeoff.data import Arrays, array, diabetes, digits
from bakeoff.errors import UserError


def rows_of(part):
    return {row.tobytes() for row in np.asarray(part)}


def classification(n=12, n_out=3):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), torch.arange(n) % n_out


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
    y = torch.cat([y for _, y in data.parts().values()]) * data.target_std + data.target_mean
    np.testing.assert_allclose(np.sort(y[:, 0]), np.sort(source.target), rtol=1e-5)


def test_statistics_come_from_the_training_part_alone():
    rng = np.random.default_rng(0)
    parts = {f"x_{part}": rng.normal(5, 3, (n, 4)) for part, n in [("train", 30), ("val", 10), ("test", 10)]}
    targets = {f"y_{part}": rng.normal(-2, 7, n) for part, n in [("train", 30), ("val", 10), ("test", 10)]}

    data = array(**parts, **targets)

    mean, std = parts["x_train"].mean(0), parts["x_train"].std(0)
    for name, (x, y) in data.parts().items():
        np.testing.assert_allclose(x, (parts[f"x_{name}"] - mean) / std, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            y[:, 0] * data.target_std + data.target_mean, targets[f"y_{name}"], rtol=1e-5, atol=1e-5
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


def test_digest_tells_content_and_nothing_else():
    data = digits()
    assert data.digest() == digits().digest()
    assert len(data.digest()) == 64
    assert data.digest() != digits(split_seed=1).digest()

    x, y = data.train
    altered = x.clone()
    altered[3, 0, 2, 2] += 1
    assert dataclasses.replace(data, train=(altered, y)).digest() != data.digest()
    assert dataclasses.replace(data, train=(x, y.roll(1))).digest() != data.digest()
    assert dataclasses.replace(data, train=data.val, val=data.train).digest() != data.digest()
    assert dataclasses.replace(data, n_out=11).digest() != data.digest()
    assert dataclasses.replace(data, target_std=2.0).digest() != data.digest()
    flat = {name: (x.flatten(1), y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **flat).digest() != data.digest()  # equal bytes, other shape
    recast = {name: (x.view(torch.int32), y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **recast).digest() != data.digest()  # equal bytes, other dtype
    strided = {name: (x.mT.contiguous().mT, y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **strided).digest() == data.digest()


def test_digest_knows_dtypes_that_numpy_does_not():
    x, y = classification()
    data = Arrays(*[(x.bfloat16(), y)] * 3, task="classification", n_out=3)
    assert data.digest() != dataclasses.replace(data, train=(x.half(), y)).digest()


def test_arrays_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits().n_out = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "ranking"}, "task must be classification or regression, got 'ranking'"),
        ({"val": (torch.zeros(3, 2), torch.zeros(2).long())}, "val must hold one y for each x, .* got 3 x and 2 y"),
        ({"val": (torch.zeros(0, 2), torch.zeros(0).long())}, "at least one, got 0 x and 0 y"),
        ({"test": (torch.zeros(3, 5), torch.zeros(3).long())}, r"shape \(2,\) as in train, got \(5,\)"),
        ({"train": (torch.zeros(3, 2), torch.zeros(3))}, r"must be int64 \(N,\) for .*, got torch.float32 \(3,\)"),
        ({"train": (torch.zeros(3, 2), torch.zeros(3, 1).long())}, r"must be int64 \(N,\)"),
        ({"n_out": 2}, r"y of train must be in \[0, 2\), got \[0, 2\]"),
        ({"task": "regression"}, r"must be floating-point \(N, 3\) for regression, got torch.int64"),
    ],
)
def test_parts_that_do_not_fit_together(change, message):
    good = {name: classification() for name in ("train", "val", "test")} | {"task": "classification", "n_out": 3}
    Arrays(**good)
    with pytest.raises(UserError, match=message):
        Arrays(**good | change)

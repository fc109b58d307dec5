"""Arrays: their digest, and parts that do not fit together."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.data import Arrays, array, digits
from bakeoff.errors import UserError


def classification(n=12, n_out=3):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), torch.arange(n) % n_out


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
    flat: dict[str, Any] = {name: (x.flatten(1), y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **flat).digest() != data.digest()  # equal bytes, other shape
    recast: dict[str, Any] = {name: (x.view(torch.int32), y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **recast).digest() != data.digest()  # equal bytes, other dtype
    strided: dict[str, Any] = {name: (x.mT.contiguous().mT, y) for name, (x, y) in data.parts().items()}
    assert dataclasses.replace(data, **strided).digest() == data.digest()


def test_the_units_of_a_users_data_are_part_of_its_content():
    """Standardised they are the same; a checkpoint that undoes the standardisation is not."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(40, 3)), generator.integers(0, 2, 40)
    digest = array(x=x, y=y).digest()
    assert digest == array(x=x.copy(), y=y.copy()).digest()
    assert digest != array(x=2 * x, y=y).digest()
    assert digest != array(x=x + 1, y=y).digest()
    assert digest != array(x=x, y=2 * y + 3).digest()


def test_digest_knows_dtypes_that_numpy_does_not():
    x, y = classification()
    part = x.bfloat16(), y
    data = Arrays(part, part, part, task="classification", n_out=3)
    assert data.digest() != dataclasses.replace(data, train=(x.half(), y)).digest()


def test_arrays_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits().n_out = 3  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "ranking"}, "task must be one of classification, multilabel, regression, got 'ranking'"),
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

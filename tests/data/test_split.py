"""Splits: sizes, proportions of the classes, and that they depend on their own seed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from bakeoff.data.split import split
from bakeoff.errors import UserError

SIZES = {"test": 0.2, "val": 0.2}


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(10, 300),
    test=st.integers(1, 4) | st.floats(0.01, 0.4),
    val=st.integers(1, 4) | st.floats(0.01, 0.4),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_and_their_union_is_the_whole(n, test, val, seed):
    parts = split(n, {"test": test, "val": val}, split_seed=seed)

    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(n))
    for name, size in {"test": test, "val": val}.items():
        assert len(parts[name]) == (size if isinstance(size, int) else np.ceil(size * n))


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(5, 60), min_size=2, max_size=5), seed=st.integers(0, 100))
def test_every_part_keeps_the_proportions_of_the_classes(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)

    parts = split(len(labels), SIZES, split_seed=seed, labels=labels)

    for index in parts.values():
        fractions = np.bincount(labels[index], minlength=len(counts)) / len(index)
        # each class is rounded to a whole number of samples, twice for val and train
        np.testing.assert_allclose(fractions, np.array(counts) / len(labels), atol=2.01 / len(index))


def test_split_is_fixed_by_its_seed():
    labels = np.arange(100) % 4
    first, again = (split(100, SIZES, split_seed=3, labels=labels) for _ in range(2))
    other = split(100, SIZES, split_seed=4, labels=labels)

    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_test_part_is_the_one_that_scikit_learn_draws():
    labels = np.arange(103) % 4
    _, test = train_test_split(np.arange(103), test_size=0.2, stratify=labels, random_state=7)

    parts = split(103, SIZES, split_seed=7, labels=labels)

    np.testing.assert_array_equal(parts["test"], np.sort(test))


def test_numpy_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    split(100, SIZES, split_seed=0)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)  # noqa: NPY002


@pytest.mark.parametrize("size", [0, -1, 1.0, 0.0, -0.1, float("nan"), True, "half", None])
def test_wrong_size_is_named(size):
    with pytest.raises(UserError, match=r"val_size must be a fraction in \(0, 1\) or a whole number >= 1, got"):
        split(100, {"val": size}, split_seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, None])
def test_wrong_split_seed_is_named(seed):
    with pytest.raises(UserError, match="split_seed must be a whole number in"):
        split(100, SIZES, split_seed=seed)


@pytest.mark.parametrize("sizes", [{"test": 0.5, "val": 0.5}, {"val": 10}, {"test": 6, "val": 4}])
def test_no_sample_left_to_train_on(sizes):
    with pytest.raises(UserError, match="must leave samples to train on, got 10 samples in all"):
        split(10, sizes, split_seed=0)


def test_class_too_small_for_three_parts_is_named():
    labels = np.array([0] * 20 + [7] * 2)
    with pytest.raises(UserError, match="class 7 has 2 samples, too few for 3 parts: drop or merge it"):
        split(len(labels), SIZES, split_seed=0, labels=labels)


def test_part_with_fewer_samples_than_classes_is_refused():
    with pytest.raises(UserError, match="test_size=3 allows no stratified split"):
        split(100, {"test": 3, "val": 10}, split_seed=0, labels=np.arange(100) % 10)

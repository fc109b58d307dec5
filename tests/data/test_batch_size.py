"""Batch sizes: which are valid, and how many samples they mean."""

import pytest

from bakeoff.data.batch_size import check_batch_size, samples_per_batch
from bakeoff.errors import UserError


@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_valid_batch_sizes_are_returned_unchanged(batch_size):
    assert check_batch_size(batch_size) == batch_size


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "half", None, float("nan")])
def test_wrong_batch_size_is_named(batch_size):
    with pytest.raises(UserError) as caught:
        check_batch_size(batch_size, "eval_batch_size")
    assert str(caught.value) == f'eval_batch_size must be a whole number >= 1 or "full", got {batch_size!r}'


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1), (49, 49), (50, 50), (51, 50), ("full", 50)])
def test_a_batch_holds_at_most_the_whole_set(batch_size, expected):
    assert samples_per_batch(batch_size, 50) == expected

"""Batches as pairs of input and target."""

import pytest
import torch

from bakeoff.pairs import as_pair, call, map_inputs

X, Y = torch.ones(2, 3), torch.tensor([0, 1])


@pytest.mark.parametrize(
    "batch",
    [(X, Y), [X, Y], {"x": X, "y": Y}, {"labels": Y, "pixel_values": X}, {"image": X, "label": Y}],
)
def test_one_input_and_a_target(batch):
    x, y = as_pair(batch)
    assert x is X
    assert y is Y


def test_several_inputs_and_a_target():
    x, y = as_pair(as_pair({"input_ids": X, "labels": Y, "attention_mask": X + 1}))
    assert list(x) == ["input_ids", "attention_mask"]
    assert y is Y


@pytest.mark.parametrize(
    "batch",
    [
        (X, torch.tensor(1)),
        (X, X, Y),
        (X, [0, 1]),
        {"x": X, "kind": Y},
        {"x": X, "y": Y, "labels": Y},  # which of the two?
        {"x": X, "y": Y, "name": ["a", "b"]},
        {"y": Y},
        X,
    ],
)
def test_what_is_no_pair(batch):
    assert as_pair(batch) is None


def test_several_inputs_are_passed_by_name():
    assert torch.equal(call(lambda b, a: a - b, {"a": X * 5, "b": X}), X * 4)
    assert torch.equal(call(lambda a: a + 1, X), X + 1)


def test_tensors_of_one_name_are_joined():
    joined = map_inputs(lambda one, other: torch.cat([one, other]), {"a": X, "b": X * 2}, {"b": X * 4, "a": X * 3})
    assert isinstance(joined, dict)
    assert torch.equal(joined["b"], torch.cat([X * 2, X * 4]))

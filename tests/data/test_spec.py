"""The DataSpec of arrays."""

import pytest
import torch

from bakeoff.data import DataSpec, as_datamodule, diabetes, digits
from bakeoff.data.spec import spec_of


def test_regression_arrays_tell_how_to_undo_their_standardisation():
    arrays = diabetes()
    _, spec = as_datamodule(arrays, batch_size="full", seed=0)
    assert (spec.task, spec.n_out, spec.steps_per_epoch) == ("regression", 1, 1)
    assert (spec.target_mean, spec.target_std) == (arrays.target_mean, arrays.target_std)


@pytest.mark.parametrize(("batch_size", "steps"), [(100, 11), (1077, 1), ("full", 1), (1, 1077)])
def test_steps_of_an_epoch(batch_size, steps):
    arrays = digits()
    spec = spec_of(arrays, batch_size)
    assert (spec.n_train, spec.steps_per_epoch, spec.digest) == (1077, steps, arrays.digest())
    assert isinstance(spec.example, torch.Tensor)
    assert torch.equal(spec.example, arrays.train[0][:2])


def test_the_number_of_inputs_follows_the_shape():
    assert DataSpec(in_shape=(3, 4, 5)).n_in == 60
    assert DataSpec().n_in is None

"""Parts that are given are kept, missing ones are split off, and nothing of the caller's is changed."""

import numpy as np
import pytest

from bakeoff.data import array
from bakeoff.data.assemble import assemble
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.arange(60) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


@pytest.mark.parametrize(
    ("given", "lengths"),
    [((), [36, 12, 12]), (("val",), [48, 9, 12]), (("test",), [48, 12, 9])],
    ids=["train", "train+val", "train+test"],
)
def test_missing_parts_are_split_off_the_training_part(tmp_path, given, lengths):
    parts = {f"x_{part}": X[:9] for part in given} | {f"y_{part}": Y[:9] for part in given}
    data = array(path=saved(tmp_path, x_train=X, y_train=Y, **parts))
    assert [len(x) for x, _ in data.parts().values()] == lengths


def test_arrays_given_are_not_changed():
    x, y = X.astype(np.float32), Y.astype(np.float32)
    x_copy, y_copy = x.copy(), y.copy()
    x.flags.writeable = False
    data = array(x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y)
    data.train[0].zero_()
    np.testing.assert_array_equal(x, x_copy)
    np.testing.assert_array_equal(y, y_copy)


def test_a_class_too_small_for_every_part_is_refused():
    with pytest.raises(UserError, match=r"class 0 has 1 samples, too few for 3 parts: .* make y floating-point"):
        array(x=X, y=np.arange(60))


def test_nothing_is_standardised_without_scale():
    y = Y * 2.5 + 100
    data = assemble({"train": (X, y)}, where="here", sizes={"val": 6, "test": 6}, split_seed=0, scale=False)
    x = np.concatenate([x.numpy() for x, _ in data.parts().values()])
    assert (data.target_mean, data.target_std) == (0.0, 1.0)
    assert {row.tobytes() for row in x} == {row.tobytes() for row in X.astype(np.float32)}
    assert set(np.unique(np.concatenate([y for _, y in data.parts().values()]))) == {100.0, 102.5, 105.0}

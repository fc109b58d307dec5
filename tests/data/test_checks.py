"""Raw values that cannot be used are refused, with their name."""

import numpy as np
import pytest
import torch

from bakeoff.data import array
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.arange(60) % 3


def test_tensors_with_grad_and_unusual_dtypes_are_accepted():
    x = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    assert array(x=x, y=torch.tensor(Y)).train[0].dtype == torch.float32
    assert array(x=X.astype(">f8")[::-1], y=Y.astype(np.uint16)).n_out == 3


def with_value(value):
    x = X.copy()
    x[4, 1] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:-1]}, "x and y must be equally long in the arrays given, got 60 and 59 samples"),
        ({"x_train": X, "y_train": Y, "x_val": X, "y_val": Y[:1]}, "x_val and y_val must be equally long"),
        ({"x_train": X, "y_train": Y, "x_val": X[:, :1], "y_val": Y}, r"one shape in all parts .*\(3,\).*\(1,\)"),
        ({"x": with_value(np.nan), "y": Y}, "x must hold no NaN"),
        ({"x": with_value(np.inf), "y": Y}, "x must hold no NaN, infinity"),
        ({"x": with_value(1e300), "y": Y}, "over 3e38"),
        ({"x": X, "y": with_value(-np.inf)[:, 1]}, "y must hold no NaN"),
        ({"x": X[:0], "y": Y[:0]}, r"x must not be empty in the arrays given, got shape \(0, 3\)"),
        ({"x": X[:, :0], "y": Y}, r"x must not be empty"),
        ({"x": 3.0, "y": Y}, "x and y must have a samples axis"),
        ({"x": X, "y": np.array(["cat", "dog", "owl"])[Y]}, "y must hold real numbers .* got dtype <U3"),
        ({"x": X.astype(complex), "y": Y}, "x must hold real numbers"),
        ({"x": [[1, 2], [3]], "y": [0, 1]}, "x must be an array of numbers"),
    ],
)
def test_unusable_arrays_are_refused_in_one_line(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        array(**arrays)
    assert "\n" not in str(caught.value)

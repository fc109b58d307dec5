"""Losses that return one value per example, `(N,)`: the caller reduces.

Each is a pure function, the bare mathematics, and above it a `torch.nn.Module`, its name in CamelCase. The
module checks the hyperparameters once, when it is built, and is called with (output, target); its class
attribute `task` says what it fits: "classification", "regression", or None for both.

Importing this imports torch alone.
"""

from bakeoff.losses.entropy import CrossEntropy, cross_entropy
from bakeoff.losses.margin import Hinge, SquaredHinge, hinge, squared_hinge
from bakeoff.losses.robust import AbsoluteError, Huber, absolute_error, huber
from bakeoff.losses.squared import MSE, mse

__all__ = [
    "MSE",
    "AbsoluteError",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "SquaredHinge",
    "absolute_error",
    "cross_entropy",
    "hinge",
    "huber",
    "mse",
    "squared_hinge",
]

"""Configuration -> outcome, for one run. Names no concrete loss, optimizer, model or data set."""

from bakeoff.train.parts import LossDoesNotFitError
from bakeoff.train.run import Run
from bakeoff.train.settings import settle

__all__ = ["LossDoesNotFitError", "Run", "settle"]

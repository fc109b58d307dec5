"""Optimizers written by hand: each a pure update, its definition, in a thin `torch.optim.Optimizer`.

Arguments, defaults and state keys are torch's: each class and its namesake in `torch.optim` load each other's
state dicts. The pure updates are `sgd.sgd_update`, `rmsprop.rmsprop_update` and `adam.adam_update`.
"""

from bakeoff.optim.adam import Adam, AdamW
from bakeoff.optim.rmsprop import RMSprop
from bakeoff.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]

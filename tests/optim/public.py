"""The public names of `bakeoff.optim`: its classes, and its functions, the definitions."""

import inspect

from bakeoff import optim

OPTIMIZERS = [name for name in optim.__all__ if inspect.isclass(getattr(optim, name))]
UPDATES = [name for name in optim.__all__ if name not in OPTIMIZERS]

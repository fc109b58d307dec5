"""Optimizers written by hand: each a pure update, its definition, in a thin `torch.optim.Optimizer`.

Arguments, defaults and state keys are torch's: each class and its namesake in `torch.optim` load each other's
state dicts. The pure updates are `sgd.sgd_update`, `rmsprop.rmsprop_update` and `adam.adam_update`; faster ways are
taken where they agree with them.

`replicas={"lr": [0.1, 0.01], "weight_decay": [0, 1e-4]}` trains K = 2 runs in parameters stacked `[K, ...]`: replica k
has the k-th values and goes as if it had an optimizer of its own. `group["lr"]` is then a factor on all learning rates,
1 at first, for schedulers to drive; a scheduler that drives momentum or betas does not reach values given to replicas.
A step that GradScaler skips is skipped by all. torch knows nothing of replicas: a state dict with them is for ours.
"""

from bakeoff.optim.adam import Adam, AdamW
from bakeoff.optim.rmsprop import RMSprop
from bakeoff.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]

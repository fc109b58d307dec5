"""Optimizers written by hand: each is a pure update, its definition, and a thin `torch.optim.Optimizer` around it.

Arguments, defaults and state keys are torch's: each class and its namesake in `torch.optim` load each other's state
dicts. `sgd_update`, `rmsprop_update` and `adam_update` are the definitions; a faster implementation is used where it
gives the same result.

`replicas={"lr": [0.1, 0.01], "weight_decay": [0, 1e-4]}` trains K = 2 runs in parameters stacked `[K, ...]`: replica k
has the k-th values and trains as if it had an optimizer of its own. `group["lr"]` is then a factor on all learning
rates, 1 at first, which schedulers drive; a scheduler of momentum or betas does not reach values given to replicas.
A step that GradScaler skips is skipped by all. torch does not know replicas: it cannot load a state dict with them.
"""

from bakeoff.optim.adam import Adam, AdamW, adam_update
from bakeoff.optim.rmsprop import RMSprop, rmsprop_update
from bakeoff.optim.sgd import SGD, sgd_update

__all__ = ["SGD", "Adam", "AdamW", "RMSprop", "adam_update", "rmsprop_update", "sgd_update"]

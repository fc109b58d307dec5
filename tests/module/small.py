"""A small data set, a module and a trainer for it, and the curves that they wrote."""

from functools import partial

import lightning.pytorch as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.losses import CrossEntropy
from bakeoff.module import SupervisedModule
from bakeoff.optim import SGD

GENERATOR = torch.Generator().manual_seed(3)
X = torch.randn(120, 5, generator=GENERATOR)
Y = torch.randint(0, 7, (120,), generator=GENERATOR)
REAL = X.sum(dim=1) * 2 + 3


def trainer(tmp_path, **options):
    return pl.Trainer(
        accelerator="cpu", enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, default_root_dir=tmp_path, **{"max_epochs": 2, "logger": False, **options},
    )  # fmt: skip


def module(loss=None, n_out=7, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, n_out))
    return SupervisedModule(net, loss or CrossEntropy(), partial(SGD, lr=0.05), n_out=n_out, **options)


def loader(y, batch_size=16):
    return DataLoader(TensorDataset(X, y), batch_size=batch_size)


def curves(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}

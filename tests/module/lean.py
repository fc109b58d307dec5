"""A small data set, a module and a trainer, to run with the lean loop and with Lightning's own."""

from functools import partial

import lightning.pytorch as pl
import torch
from torch import nn

from bakeoff.losses import CrossEntropy
from bakeoff.module import SupervisedModule

X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randint(0, 3, (50,), generator=torch.Generator().manual_seed(1))
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)


class Loader:
    """7 batches of 8 samples, the last of 2."""

    def __iter__(self):
        return iter(list(zip(X.split(8), Y.split(8), strict=True)))

    def __len__(self):
        return 7


class Data(pl.LightningDataModule):
    batches_on_device = True

    def train_dataloader(self):
        return Loader()

    def val_dataloader(self):
        return Loader()


def module(optimizer=SGD, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return SupervisedModule(net, CrossEntropy(), optimizer, n_out=3, **options)


def trainer(tmp_path, *callbacks, **options):
    defaults = {"max_epochs": 3, "logger": False}
    return pl.Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        **{**defaults, **options},
    )

"""A training that diverges stops at the next check, which names the first bad step."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.losses import MSE
from bakeoff.module import Divergence, StopOnDivergence, SupervisedModule
from bakeoff.optim import SGD

X = torch.ones(64, 2)
Y = torch.zeros(64, 1)


def train(tmp_path, guard, *, lr=0.01, loss=None, steps=100, net=None, **options):
    torch.manual_seed(0)
    module = SupervisedModule(net or nn.Linear(2, 1), loss or MSE(), partial(SGD, lr=lr), n_out=1, task="regression")
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=steps, max_epochs=-1, logger=False, default_root_dir=tmp_path,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        **{"callbacks": [guard], "limit_val_batches": 0, **options},
    )  # fmt: skip
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    trainer.fit(module, loader, loader)
    return trainer


class BadAt(nn.Module):
    """A loss that is NaN in its n-th call."""

    def __init__(self, n):
        super().__init__()
        self.n, self.calls = n, 0

    def forward(self, output, target):
        self.calls += 1
        return (output - target).square().mean() * (float("nan") if self.calls == self.n else 1.0)


@pytest.mark.parametrize("bad", [1, 7, 10, 11, 20, 100])
def test_the_first_bad_step_is_found_exactly(tmp_path, bad):
    guard = StopOnDivergence(every_n_steps=10)
    trainer = train(tmp_path, guard, loss=BadAt(bad))
    assert guard.divergence == Divergence("the loss", bad)
    assert trainer.global_step == -(-bad // 10) * 10


def test_a_rate_too_high_diverges(tmp_path):
    guard = StopOnDivergence(every_n_steps=10)
    train(tmp_path, guard, lr=1e3)
    assert str(guard.divergence).startswith("the loss became non-finite at step ")


class Poisoned(nn.Module):
    """Has a weight that the loss never sees, and ruins it in the fourth call."""

    def __init__(self):
        super().__init__()
        self.net, self.unused, self.calls = nn.Linear(2, 1), nn.Parameter(torch.zeros(1)), 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 4:
            with torch.no_grad():
                self.unused.fill_(float("inf"))
        return self.net(x)


def test_a_weight_that_the_loss_does_not_see(tmp_path):
    guard = StopOnDivergence(every_n_steps=10)
    train(tmp_path, guard, net=Poisoned())
    assert guard.divergence == Divergence("a weight", 10)


def test_a_finite_training_runs_to_its_end(tmp_path):
    guard = StopOnDivergence(every_n_steps=10)
    assert train(tmp_path, guard).global_step == 100
    assert guard.divergence is None


def test_the_interval_is_checked():
    with pytest.raises(ValueError, match="every_n_steps must be >= 1, got 0"):
        StopOnDivergence(0)


@pytest.mark.parametrize("bad", [1, 4, 5, 8, 9, 10, 11, 16])
@pytest.mark.parametrize("every", [1, 3, 100])
def test_with_accumulated_gradients_it_is_the_step_of_the_bad_batch(tmp_path, bad, every):
    """8 batches an epoch, 3 to a step: the third step of an epoch has 2."""
    guard = StopOnDivergence(every_n_steps=every)
    train(tmp_path, guard, loss=BadAt(bad), steps=6, accumulate_grad_batches=3)
    epoch, batch = divmod(bad - 1, 8)
    assert guard.divergence == Divergence("the loss", 3 * epoch + batch // 3 + 1)


def test_also_where_a_callback_accumulates_from_an_epoch_on(tmp_path):
    guard = StopOnDivergence(every_n_steps=100)
    train(tmp_path, guard, loss=BadAt(13), steps=10, callbacks=[guard, GradientAccumulationScheduler({1: 4})])
    assert guard.divergence == Divergence("the loss", 8 + 2)


def test_a_resumed_guard_knows_the_steps_of_what_it_kept(tmp_path):
    first, resumed = StopOnDivergence(every_n_steps=100), StopOnDivergence(every_n_steps=100)
    train(tmp_path, first, steps=1)
    first._losses, first._steps = [torch.tensor(1.0), torch.tensor(float("nan"))], [7, 9]
    resumed.load_state_dict(first.state_dict())
    train(tmp_path, resumed, steps=5)
    assert resumed.divergence == Divergence("the loss", 9)


class NanWhenEvaluated(nn.Linear):
    """Gives NaN for one of the rows, in validation alone."""

    def forward(self, x):
        output = super().forward(x)
        return output if self.training else output.index_fill(0, torch.tensor(3), torch.nan)


def test_nan_in_a_validation(tmp_path):
    guard = StopOnDivergence(every_n_steps=10)
    options = {"limit_val_batches": 1.0, "val_check_interval": 5, "num_sanity_val_steps": 0, "callbacks": [guard]}
    trainer = train(tmp_path, guard, net=NanWhenEvaluated(2, 1), **options)
    assert guard.divergence == Divergence("an output in validation", 5)
    assert trainer.global_step == 5


def test_a_loss_that_was_bad_before_a_validation_is_named(tmp_path):
    guard = StopOnDivergence(every_n_steps=50)
    options = {"limit_val_batches": 1.0, "val_check_interval": 5, "num_sanity_val_steps": 0, "callbacks": [guard]}
    train(tmp_path, guard, net=NanWhenEvaluated(2, 1), loss=BadAt(2), **options)
    assert guard.divergence == Divergence("the loss", 2)

"""The Lightning module in somebody else's Trainer: what it logs, and that the logged numbers are right."""

from functools import partial

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from sklearn.metrics import accuracy_score, log_loss, r2_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.losses import MSE, CrossEntropy, Huber
from bakeoff.module import SupervisedModule, metrics_for
from bakeoff.optim import SGD
from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.logger import EventLogger

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


def test_classification_metrics_equal_scikit_learns(tmp_path):
    net = module()
    measured = trainer(tmp_path).test(net, loader(Y), verbose=False)[0]
    with torch.no_grad():
        probabilities = net(X).double().softmax(dim=1).numpy()
    top5 = np.mean([y in np.argsort(p)[-5:] for p, y in zip(probabilities, Y.numpy(), strict=True)])
    assert measured["test/accuracy"] == pytest.approx(accuracy_score(Y, probabilities.argmax(1)))
    assert measured["test/nll"] == pytest.approx(log_loss(Y, probabilities, labels=range(7)), rel=1e-5)
    assert measured["test/top5"] == pytest.approx(top5)
    assert measured["test/ece"] == pytest.approx(_ece(probabilities, Y.numpy()), abs=1e-5)
    assert measured["test/loss"] == pytest.approx(measured["test/nll"], rel=1e-5)


def _ece(probabilities, labels, bins=15):
    """Guo et al. 2017, equation 3."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    where = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(right[where == b].mean() - confidence[where == b].mean()) * (where == b).mean() for b in set(where)]
    return sum(gaps)


def test_regression_metrics_are_in_the_targets_own_units(tmp_path):
    mean, std = float(REAL.mean()), float(REAL.std())
    net = module(Huber(), n_out=1, target_std=std)
    measured = trainer(tmp_path).test(net, loader((REAL - mean) / std), verbose=False)[0]
    with torch.no_grad():
        predicted = net(X).squeeze(1) * std + mean
    error = (predicted - REAL).numpy()
    assert measured["test/rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert measured["test/mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert measured["test/r2"] == pytest.approx(r2_score(REAL, predicted), rel=1e-5)


def test_the_curve_holds_window_means_of_the_losses(tmp_path):
    seen = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(float(outputs["loss"]))

    logger = EventLogger(EventFile(tmp_path))
    options = {"logger": logger, "callbacks": [Keep()], "max_epochs": 5, "log_every_n_steps": 1}
    trainer(tmp_path, **options).fit(module(log_every_n_steps=4), loader(Y), loader(Y))
    points = curves(tmp_path)
    assert [e.step for e in points["train/loss"]][:6] == [4, 8, 12, 16, 20, 24]
    expected = [np.mean(seen[e.step - 4 : e.step]) for e in points["train/loss"]]
    assert [e.value for e in points["train/loss"]] == pytest.approx(expected, rel=1e-5)
    assert points["train/loss"][-1].step == len(seen) == 40
    assert [e.value for e in points["lr"]] == pytest.approx([0.05] * 10)
    assert [e.step for e in points["val/accuracy"]] == [8, 16, 24, 32, 40]


def test_windows_are_whole_however_often_validation_comes(tmp_path):
    options = {"logger": EventLogger(EventFile(tmp_path)), "val_check_interval": 3, "check_val_every_n_epoch": None}
    trainer(tmp_path, max_epochs=3, log_every_n_steps=1, **options).fit(
        module(log_every_n_steps=10), loader(Y), loader(Y)
    )
    points = curves(tmp_path)
    assert [e.step for e in points["train/loss"]] == [e.step for e in points["lr"]] == [10, 20, 24]


def test_sampled_steps_show_norm_ratio_and_phases(tmp_path):
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, logger=logger, max_epochs=2).fit(module(sample_every_n_steps=5), loader(Y), loader(Y))
    points = curves(tmp_path)
    for tag in ("grad/norm", "update/ratio", "time/forward", "time/loss", "time/backward", "time/update"):
        assert [e.step for e in points[tag]] == [1, 6, 11, 16], tag
        assert all(e.value > 0 for e in points[tag]), tag


def test_gradient_norm_and_update_ratio_of_the_first_step(tmp_path):
    net = module(sample_every_n_steps=1)
    before = [p.detach().clone() for p in net.parameters()]
    CrossEntropy()(net(X[:16]), Y[:16]).mean().backward()
    norm = float(torch.cat([p.grad.flatten() for p in net.parameters()]).norm())
    size = float(torch.cat([p.flatten() for p in before]).norm())
    fresh = module(sample_every_n_steps=1)
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, logger=logger, max_steps=1, max_epochs=-1).fit(fresh, loader(Y), loader(Y))
    points = curves(tmp_path)
    assert points["grad/norm"][0].value == pytest.approx(norm, rel=1e-5)
    assert points["update/ratio"][0].value == pytest.approx(0.05 * norm / size, rel=1e-5)


def test_other_peoples_callbacks_find_the_metrics(tmp_path):
    stop = EarlyStopping("val/accuracy", mode="max", patience=1, min_delta=2.0)
    runner = trainer(tmp_path, callbacks=[stop], max_epochs=10)
    runner.fit(module(), loader(Y), loader(Y))
    assert runner.current_epoch == 2


def test_the_task_must_be_known():
    with pytest.raises(ValueError, match="task must be classification or regression where the loss fits both"):
        module(MSE())
    assert module(MSE(), task="regression").task == "regression"


def test_a_bare_function_serves_as_loss(tmp_path):
    net = module(lambda output, target: nn.functional.cross_entropy(output, target), task="classification")
    trainer(tmp_path).fit(net, loader(Y), loader(Y))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1e4, 1.0), (1e5, 10.0)])
def test_r2_where_the_mean_is_large(mean, std):
    metrics = metrics_for("regression", 1)
    y = REAL * std + mean
    output = y + torch.randn(120, generator=torch.Generator().manual_seed(0)) * std
    metrics.update(torch.zeros(120), output[:, None], y[:, None])
    assert float(metrics.compute()["r2"]) == pytest.approx(r2_score(y.double(), output.double()), rel=1e-6)


def test_r2_of_several_outputs_is_a_mean_over_columns():
    y = torch.stack([REAL, REAL * 2 + 1000], dim=1)
    metrics = metrics_for("regression", 2)
    metrics.update(torch.zeros(120), y.mean(dim=0).expand(120, 2), y)
    assert float(metrics.compute()["r2"]) == pytest.approx(0.0, abs=1e-6)


def test_accumulated_batches_count_as_one_step_and_leave_no_hooks(tmp_path):
    net = module(log_every_n_steps=2, sample_every_n_steps=2)
    options = {"logger": EventLogger(EventFile(tmp_path)), "accumulate_grad_batches": 2, "max_epochs": 2}
    trainer(tmp_path, log_every_n_steps=1, **options).fit(net, loader(Y), loader(Y))
    assert [e.step for e in curves(tmp_path)["train/loss"]] == [2, 4, 6, 8]
    assert not net.net._forward_hooks
    assert not net.net._forward_pre_hooks


def test_the_rate_logged_is_the_rate_of_the_step(tmp_path):
    net = module(log_every_n_steps=1, lr_factor=lambda step: 0.5**step)
    logger = EventLogger(EventFile(tmp_path))
    trainer(tmp_path, log_every_n_steps=1, logger=logger, max_epochs=1).fit(net, loader(Y), loader(Y))
    assert [e.value for e in curves(tmp_path)["lr"]] == pytest.approx([0.05 * 0.5**step for step in range(8)])

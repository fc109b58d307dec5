"""The lean loop against Lightning's own: same hooks, same order, bit-equal weights."""

import csv
from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger

from bakeoff.module import SupervisedModule, use_lean_loop
from bakeoff.module.loop import HOOKS

from .lean import Data, module, trainer


class Recorder(Callback):
    """Writes down every call of every per-batch hook, with what it was given."""

    def __init__(self):
        self.calls = []


def _recording(name):
    def hook(self, trainer, module, *arguments):
        shown = [tuple(a[0].shape) if isinstance(a, (tuple, list)) else a for a in arguments]
        shown = [sorted(a) if isinstance(a, dict) else a for a in shown]
        shown = [a.detach().clone() if torch.is_tensor(a) else a for a in shown]
        shown = [type(a).__name__ if isinstance(a, torch.optim.Optimizer) else a for a in shown]
        self.calls.append((name, trainer.global_step, shown))

    return hook


for _name in HOOKS:
    setattr(Recorder, _name, _recording(_name))


def fit(tmp_path, lean, make=module, **options):
    recorder, net = Recorder(), make()
    runner = trainer(tmp_path, recorder, **options)
    if lean:
        use_lean_loop(runner)
    runner.fit(net, datamodule=Data())
    return net, runner, recorder


@pytest.mark.parametrize(
    "options",
    [{}, {"max_steps": 10, "max_epochs": -1}, {"gradient_clip_val": 0.1}, {"gradient_clip_val": 0.01,
     "gradient_clip_algorithm": "value"}, {"accumulate_grad_batches": 2}],
    ids=["plain", "max_steps", "clip_norm", "clip_value", "accumulate"],
)  # fmt: skip
def test_same_hooks_and_bit_equal_weights(tmp_path, options):
    ours, our_trainer, our_calls = fit(tmp_path, lean=True, **options)
    theirs, their_trainer, their_calls = fit(tmp_path, lean=False, **options)
    for a, b in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert our_trainer.global_step == their_trainer.global_step
    assert our_trainer.current_epoch == their_trainer.current_epoch
    assert [call[:2] for call in our_calls.calls] == [call[:2] for call in their_calls.calls]
    for ours_, theirs_ in zip(our_calls.calls, their_calls.calls, strict=True):
        assert str(ours_) == str(theirs_)


def test_progress_counters_are_lightnings(tmp_path):
    _, ours, _ = fit(tmp_path, lean=True)
    _, theirs, _ = fit(tmp_path, lean=False)
    state = ours.fit_loop.state_dict()
    assert {"random_state", "at_epoch_start"} <= set(state["epoch_loop.state_dict"])  # not Lightning's
    for key in ("random_state", "at_epoch_start"):
        del state["epoch_loop.state_dict"][key]
    assert state == theirs.fit_loop.state_dict()


def test_every_callback_sees_every_batch(tmp_path):
    _, _, recorder = fit(tmp_path, lean=True)
    for name in HOOKS:
        assert sum(call[0] == name for call in recorder.calls) == 21


def test_a_schedule_is_stepped(tmp_path):
    decay = partial(module, lr_factor=lambda step: 0.9**step)
    ours, our_trainer, _ = fit(tmp_path, lean=True, make=decay)
    theirs, _, _ = fit(tmp_path, lean=False, make=decay)
    assert our_trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.9**21)
    assert torch.equal(ours.net[0].weight, theirs.net[0].weight)


def test_an_optimizer_that_calls_its_closure_again(tmp_path):
    lbfgs = partial(module, partial(torch.optim.LBFGS, lr=0.1, max_iter=3))
    ours, _, _ = fit(tmp_path, lean=True, make=lbfgs)
    theirs, _, _ = fit(tmp_path, lean=False, make=lbfgs)
    assert torch.equal(ours.net[0].weight, theirs.net[0].weight)


class Logs(SupervisedModule):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("mine", loss, on_step=True, on_epoch=True)
        return {"loss": loss, "extra": batch_idx}


def test_values_logged_in_a_training_step_arrive(tmp_path):
    def make():
        made = module()
        return Logs(made.net, made.loss, made._optimizer_factory, n_out=3)

    _, ours, _ = fit(tmp_path, lean=True, make=make)
    _, theirs, _ = fit(tmp_path, lean=False, make=make)
    assert ours.callback_metrics["mine_epoch"] == theirs.callback_metrics["mine_epoch"]
    assert ours.callback_metrics["mine_step"] == theirs.callback_metrics["mine_step"]


class SkipsRest(SupervisedModule):
    def on_train_batch_start(self, batch, batch_idx):
        return -1 if batch_idx == 3 else None


class SkipsRestOnSchedule(SkipsRest):
    """A schedule an epoch, and one a step: both are stepped at the batch that is skipped, as Lightning does it."""

    interval = "epoch"

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": self.interval}}


class SkipsRestOnSchedulePerStep(SkipsRestOnSchedule):
    interval = "step"


class SkipsUpdate(SupervisedModule):
    def training_step(self, batch, batch_idx):
        return None if batch_idx % 2 else super().training_step(batch, batch_idx)


@pytest.mark.parametrize("kind", [SkipsRest, SkipsRestOnSchedule, SkipsRestOnSchedulePerStep, SkipsUpdate])
@pytest.mark.filterwarnings("ignore:.*returned `None`.*")
def test_a_module_may_skip(tmp_path, kind):
    def make():
        made = module()
        return kind(made.net, made.loss, made._optimizer_factory, n_out=3)

    ours, our_trainer, _ = fit(tmp_path, lean=True, make=make)
    theirs, their_trainer, _ = fit(tmp_path, lean=False, make=make)
    assert our_trainer.global_step == their_trainer.global_step
    assert torch.equal(ours.net[0].weight, theirs.net[0].weight)
    assert our_trainer.optimizers[0].param_groups[0]["lr"] == their_trainer.optimizers[0].param_groups[0]["lr"]


def test_validation_comes_when_it_is_due(tmp_path):
    seen = []

    class See(Callback):
        def on_validation_end(self, trainer, pl_module):
            seen.append(trainer.global_step)

    runner = trainer(tmp_path, See(), max_steps=10, max_epochs=-1)
    use_lean_loop(runner, validation_due=lambda step: step in {3, 7, 10})
    runner.fit(module(), datamodule=Data())
    assert seen == [3, 7, 10]


class Doubles(SupervisedModule):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch[0] * 2, batch[1]


@pytest.mark.filterwarnings("ignore:You have overridden `on_after_batch_transfer`")
def test_a_module_may_change_batches(tmp_path):
    def make():
        made = module()
        return Doubles(made.net, made.loss, made._optimizer_factory, n_out=3)

    ours, theirs = fit(tmp_path, lean=True, make=make)[0], fit(tmp_path, lean=False, make=make)[0]
    assert torch.equal(ours.net[0].weight, theirs.net[0].weight)
    assert not torch.equal(ours.net[0].weight, fit(tmp_path, lean=True)[0].net[0].weight)


def test_a_callback_that_needs_a_logger_still_works(tmp_path):
    logger = CSVLogger(tmp_path)
    runner = use_lean_loop(trainer(tmp_path, LearningRateMonitor("step"), logger=logger, log_every_n_steps=1))
    runner.fit(module(), datamodule=Data())
    with open(logger.experiment.metrics_file_path, newline="") as file:
        rates = [float(row["lr-SGD"]) for row in csv.DictReader(file) if row["lr-SGD"]]
    assert rates == [0.1] * 21


def test_a_step_boundary_comes_after_each_batch_and_the_validation_after_it(tmp_path):
    events = []

    class Record(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            events.append(("batch", trainer.global_step))

        def on_validation_end(self, trainer, pl_module):
            events.append(("validation", trainer.global_step))

    runner = trainer(tmp_path, Record(), max_steps=4, max_epochs=-1)
    use_lean_loop(
        runner,
        validation_due=lambda step: step == 2,
        on_step_boundary=lambda: events.append(("boundary", runner.global_step)),
    )
    runner.fit(module(), datamodule=Data())
    assert events == [
        ("batch", 1), ("boundary", 1), ("batch", 2), ("validation", 2), ("boundary", 2),
        ("batch", 3), ("boundary", 3), ("batch", 4), ("boundary", 4),
    ]  # fmt: skip

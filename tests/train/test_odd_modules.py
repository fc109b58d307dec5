"""LightningModules that do what few do: they skip, log late, return a loss a sample, or count steps by hand."""

from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional as F

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves

from .stops import StopsAfter
from .test_own_module import BUDGET, DATA, STEPS, LitNet, TwoOptimizers

HERE = __name__
MAX = ("metric=val_acc", "metric_direction=max")


def command_of(name, *overrides):
    return (DATA, *BUDGET, f"module._target_={HERE}.{name}", *overrides)


class Skips(LitNet):
    """At batch 5 of an epoch."""

    at = 5

    def on_train_batch_start(self, batch, batch_idx):
        return -1 if batch_idx == self.at else None


class SkipsByHand(TwoOptimizers):
    """In Lightning's own loop."""

    def on_train_batch_start(self, batch, batch_idx):
        return -1 if batch_idx == 5 else None

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())


class SkipsAll(Skips):
    at = 0


class SkipsNothing(Skips):
    at = -1


@pytest.mark.parametrize("name", ["Skips", "SkipsByHand"])
def test_the_rest_of_an_epoch_is_not_skipped(make_run, tmp_path, name):
    outcome = make_run(*command_of(name, *MAX, "budget.validations=12")).train(tmp_path)
    assert outcome.status == "failed"
    assert f"on_train_batch_start of {name} returns -1, which skips the rest of an epoch" in outcome.error["message"]
    assert "\n" not in outcome.error["message"]


@pytest.mark.parametrize("budget", ["budget.steps=24", "budget.seconds=60"])
def test_a_module_that_skips_every_batch_is_refused_before_training(make_run, budget):
    given = ("budget.steps=null", budget) if "seconds" in budget else (budget,)
    with pytest.raises(UserError, match="on_train_batch_start of SkipsAll returns -1"):
        make_run(*command_of("SkipsAll", *MAX, *given))


def test_a_module_that_may_skip_and_does_not_is_trained(make_run, tmp_path):
    outcome = make_run(*command_of("SkipsNothing", *MAX)).train(tmp_path)
    assert (outcome.status, outcome.steps, outcome.samples) == ("completed", STEPS, 380)


class LogsLate(LitNet):
    """A metric of its own from the second epoch on, and one name in training that validation takes up later."""

    def training_step(self, batch, batch_idx):
        self.log("both", float(self.global_step), on_step=False, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        if self.current_epoch == 1:
            self.log("val_late", 10.0 + self.global_step)
            self.log("both", 1000.0 + self.global_step)


LATE = command_of("LogsLate", *MAX, "batch_size=16", "budget.steps=36", "budget.validations=6", "checkpoint_every=0")


@pytest.mark.parametrize("pieces", [None, 5])
def test_a_metric_that_is_logged_late_has_the_values_that_were_logged(make_run, tmp_path, pieces):
    """Validations at steps 6, 12, ..., 36; it is logged at 18 and 24, of the second of three epochs."""
    again = None
    while again is None or again.status == "interrupted":
        again = make_run(*LATE).train(tmp_path, **({} if pieces is None else {"stop": StopsAfter(pieces)}))
    assert again.status == "completed", again.error
    curves = read_curves(tmp_path)
    assert curves["val_late"].steps.tolist() == [18, 24]
    assert curves["val_late"].values.tolist() == [28.0, 34.0]
    assert again.metrics["val_late"] == {"final": 34.0}
    assert again.splits["val_late"] == "val"
    by_split = {split: name for name, split in again.splits.items() if name.endswith("both")}
    assert (again.metrics["val/both"]["final"], curves["val/both"].steps.tolist()) == (1024.0, [18, 24]), by_split
    mean = (16 * sum(range(11)) + 14 * 11) / 190  # of the steps 0 to 11, by the samples of their batches
    assert curves["both"].values.tolist() == pytest.approx([mean, mean + 12, mean + 24])


def test_a_run_is_not_ranked_by_a_metric_that_is_logged_late(make_run):
    with pytest.raises(UserError, match=r"^metric=val_late: LogsLate logs on validation val_acc, val_loss; give"):
        make_run(*command_of("LogsLate", "metric=val_late", "metric_direction=max"))


class PerSample(LitNet):
    """As torch's losses with reduction="none" give it."""

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self(batch[0]), batch[1], reduction="none")


class PerSampleByHand(SkipsByHand):
    def on_train_batch_start(self, batch, batch_idx):
        pass

    def training_step(self, batch, batch_idx):
        self.manual_backward(F.cross_entropy(self(batch[0]), batch[1], reduction="none"))


class GivesGradients(PerSampleByHand):
    """A gradient for each of the losses: backward may then start from several."""

    def training_step(self, batch, batch_idx):
        losses = F.cross_entropy(self(batch[0]), batch[1], reduction="none")
        self.manual_backward(losses, gradient=torch.ones_like(losses))
        for optimizer in self.optimizers():
            optimizer.step()


@pytest.mark.parametrize("name", ["PerSample", "PerSampleByHand"])
def test_a_loss_a_sample_is_refused_with_its_shape_and_the_remedy(make_run, name):
    with pytest.raises(
        UserError, match=rf"^module: {name}.training_step gives a loss of shape \(16,\), .*: return loss.mean\(\)"
    ) as caught:
        make_run(*command_of(name, *MAX))
    assert "\n" not in str(caught.value)


def test_gradients_of_a_loss_a_sample_may_be_given(make_run, tmp_path):
    assert make_run(*command_of("GivesGradients", *MAX)).train(tmp_path).status == "completed"


class Writes(SkipsByHand):
    """Two steps with every batch, and points by Lightning's count of them."""

    def on_train_batch_start(self, batch, batch_idx):
        pass

    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)
        logger: Any = self.logger
        logger.experiment.add_scalar("mine/step", float(self.global_step), self.global_step)


@pytest.mark.parametrize("pieces", [5, 1])
def test_points_by_a_modules_own_count_of_steps_outlast_a_resume(make_run, tmp_path, pieces):
    command, again, attempts = command_of("Writes", *MAX, "checkpoint_every=0"), None, 0
    while again is None or again.status == "interrupted":
        attempts += 1
        again = make_run(*command).train(tmp_path, stop=StopsAfter(pieces))
    assert again.status == "completed", again.error
    assert attempts > 4
    events = EventAccumulator(str(tmp_path), {"scalars": 0})
    events.Reload()
    expected = [float(step) for step in range(2, 2 * STEPS + 1, 2)]
    assert [point.step for point in events.Scalars("mine/step")] == expected
    assert [point.value for point in events.Scalars("mine/step")] == expected
    assert read_curves(tmp_path)["mine/step"].steps.tolist() == expected
    assert [point.step for point in events.Scalars("val_acc")] == [12, 24]


def test_points_behind_the_last_checkpoint_of_a_killed_run_stand_once(make_run, tmp_path):
    """Killed at step 9, behind a checkpoint at step 6: what it had written of 7 to 9 is written again."""
    command = command_of("Writes", *MAX, "checkpoint_every=0")
    assert make_run(*command).train(tmp_path, stop=StopsAfter(7)).status == "interrupted"
    kept = {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    record = (tmp_path / "outcome.json").read_bytes()
    assert make_run(*command).train(tmp_path, stop=StopsAfter(3)).status == "interrupted"
    for path, content in kept.items():
        path.write_bytes(content)
    (tmp_path / "outcome.json").write_bytes(record)
    assert make_run(*command).train(tmp_path).status == "completed"
    events = EventAccumulator(str(tmp_path), {"scalars": 0})
    events.Reload()
    assert [point.step for point in events.Scalars("mine/step")] == list(range(2, 2 * STEPS + 1, 2))
    assert read_curves(tmp_path)["mine/step"].steps.tolist() == list(range(2, 2 * STEPS + 1, 2))


CALLS: list[bool] = []


class Counts(nn.Module):
    """Counts its calls in itself, and all of them outside."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out))
        self.calls, self.seen = 0, []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        CALLS.append(self.training)
        self.calls += 1
        self.seen.append(len(x))
        self.get_buffer("count").add_(1)
        return self.layers(x)


def test_a_net_is_tried_on_copies_before_training(make_run, tmp_path):
    """What it keeps itself is as it was built; what it keeps elsewhere is not, which README says."""
    CALLS.clear()
    run = make_run(f"model._target_={HERE}.Counts", "budget.steps=3", "budget.validations=1", "batch_size=512")
    net: Any = run.parts.net
    assert (net.calls, net.seen, net.count.item()) == (0, [], 0)
    assert CALLS
    CALLS.clear()
    assert run.train(tmp_path).status == "completed"
    assert net.calls == net.count.item() == len(CALLS) == 5  # with a validation and a test, of one batch each

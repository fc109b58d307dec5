"""`trainer.accumulate_grad_batches`: several batches make an optimizer step, in all that counts steps or samples."""

import lightning.pytorch as pl
import pytest
import torch
from torch.nn.functional import cross_entropy

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves

# 1077 samples are 9 batches, of which the last has 53: 3 steps of 4, 4 and 1 batches
BATCHES = ("batch_size=128", "trainer.accumulate_grad_batches=4")
ADAM = ("optimizer=torch_adam", "optimizer.lr=0.01")
COMMAND = (*BATCHES, *ADAM)


class Lit(pl.LightningModule):
    def __init__(self, n_in, n_out, automatic=True):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        self.automatic_optimization = automatic

    def training_step(self, batch):
        return cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch):
        self.log("val_loss", cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


LIT = (f"module._target_={__name__}.Lit", "metric=val_loss", "metric_direction=min")


def plain_loop(run, net, *, epochs, batches):
    """The losses of the steps, each the mean over its batches; trains `net`."""
    run.parts.data.setup("fit")
    optimizer, losses = torch.optim.Adam(net.parameters(), 0.01), []
    loader = run.parts.data.train_dataloader()
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        all_batches = list(loader)
        for start in range(0, len(all_batches), batches):
            of_step = [cross_entropy(net(x), y) for x, y in all_batches[start : start + batches]]
            optimizer.zero_grad()
            sum(loss / batches for loss in of_step).backward()
            optimizer.step()
            losses.append(sum(loss.item() for loss in of_step) / len(of_step))
    return losses


def assert_same_weights(net, expected):
    for ours, theirs in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("module", [ADAM, LIT], ids=["our module", "own module"])
def test_the_weights_and_losses_of_a_plain_loop(make_run, tmp_path, module):
    command = (*BATCHES, *module, "budget.epochs=2", "trainer.log_every_n_steps=1")
    run, plain = make_run(*command), make_run(*command)
    outcome = run.train(tmp_path)
    losses = plain_loop(plain, plain.parts.net.net if module is LIT else plain.parts.net, epochs=2, batches=4)
    assert_same_weights(run.parts.net, plain.parts.net)
    assert (outcome.status, outcome.steps, outcome.samples, outcome.epochs) == ("completed", 6, 2 * 1077, 2.0)
    if module is not LIT:
        curve = read_curves(tmp_path)["train/loss"]
        assert curve.steps.tolist() == [1, 2, 3, 4, 5, 6]
        assert curve.values.tolist() == pytest.approx(losses, rel=1e-5)


def test_equal_batches_give_the_step_of_one_large_batch(make_run, tmp_path):
    several = make_run("batch_size=359", "trainer.accumulate_grad_batches=3", "budget.steps=8")
    one = make_run("batch_size=full", "budget.steps=8")
    several.train(tmp_path / "several")
    one.train(tmp_path / "one")
    assert_same_weights(several.parts.net, one.parts.net)


def test_axes_validations_and_samples_of_gradients_are_counted_in_steps(make_run, tmp_path):
    command = (*COMMAND, "budget.epochs=3", "budget.validations=3", "trainer.sample_every_n_steps=2")
    run = make_run(*command, "trainer.log_every_n_steps=1", "schedule=linear")
    outcome = run.train(tmp_path)
    curves = read_curves(tmp_path)
    seen = [512, 1024, 1077, 1589, 2101, 2154, 2666, 3178, 3231]
    assert curves["axis/samples"].values.tolist() == seen
    assert curves["axis/epochs"].values.tolist() == pytest.approx([step / 3 for step in range(1, 10)])
    assert curves["val/accuracy"].steps.tolist() == [3, 6, 9]
    assert curves["lr"].values.tolist() == pytest.approx([0.01 * (1 - step / 9) for step in range(9)])
    assert curves["grad/norm"].steps.tolist() == [1, 3, 5, 7, 9]
    assert run.hyperparameters["samples_per_step"] == 512
    assert run.hyperparameters["batch_size"] == "128"
    assert outcome.arm["trainer.accumulate_grad_batches"] == 4


@pytest.mark.parametrize(("samples", "steps"), [(512, 1), (513, 2), (1077, 3), (1078, 4), (3231, 9)])
def test_a_budget_of_samples(make_run, samples, steps):
    assert make_run(*COMMAND, f"budget.samples={samples}").budget.steps == steps


def test_a_loss_that_is_not_finite_ends_it_at_its_step(make_run, tmp_path):
    command = ("loss=mse", "optimizer.lr=1e30", "trainer.accumulate_grad_batches=3", "budget.steps=40")
    outcome = make_run(*command).train(tmp_path)
    assert (outcome.status, outcome.error["step"]) == ("diverged", 2)


def test_it_is_another_run(make_run):
    identities = {make_run(f"trainer.accumulate_grad_batches={n}").identity for n in (1, 2, 4)}
    assert len({*identities, make_run().identity}) == 3


WHOLE = "trainer.accumulate_grad_batches must be a whole number >= 1, got "
REFUSED = {
    "0": (("trainer.accumulate_grad_batches=0",), WHOLE + "0"),
    "negative": (("trainer.accumulate_grad_batches=-2",), WHOLE + "-2"),
    "fraction": (("trainer.accumulate_grad_batches=1.5",), WHOLE + "1.5"),
    "full batch": (
        ("trainer.accumulate_grad_batches=2", "batch_size=full"),
        "trainer.accumulate_grad_batches=2: batch_size=full is one batch an epoch; give batch_size a number",
    ),
    "more than an epoch has": (
        ("trainer.accumulate_grad_batches=10",),
        "trainer.accumulate_grad_batches=10, but an epoch has 9 batches: give 9 or less, or a smaller batch_size",
    ),
    "steps of one's own": (
        ("trainer.accumulate_grad_batches=2", *LIT, "module.automatic=false"),
        "trainer.accumulate_grad_batches=2: Lit makes its steps itself (automatic_optimization=False), "
        "and accumulates there",
    ),
}


@pytest.mark.parametrize(("command", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_training(make_run, command, message):
    with pytest.raises(UserError) as raised:
        make_run(*command)
    assert str(raised.value) == message

"""Schedules of weight decay and momentum: the weights of a plain loop that sets the options by hand, to the bit."""

import math

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves
from bakeoff.schedules import warmup_cosine
from bakeoff.train.identity import own_names

from .stops import StopsAfter

STEPS = 20
COSINE = "bakeoff.schedules.cosine"
DECAY = ("optimizer.weight_decay=0.1", f"schedules.weight_decay._target_={COSINE}", "schedules.weight_decay.final=0.2")
MOMENTUM = ("optimizer.momentum=0.9", f"schedules.momentum._target_={__name__}.falls")
SGD_COMMAND = ("optimizer=torch_sgd", "optimizer.lr=0.1")


def falls(p):
    return 1 - p / 2


def follows_optimizer(optimizer):
    return OneCycleLR(optimizer, 0.1, total_steps=STEPS)


def is_negative(p):
    return 1 - 2 * p


def half_decayed(params, **options):
    first, *others = params
    groups = [{"params": [first], "weight_decay": 0.0}, {"params": others}]
    return torch.optim.SGD(groups, **options)


class OwnModule(pl.LightningModule):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out))

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch):
        self.log("val_loss", self.training_step(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def decay_at(step):
    return 0.1 * (0.2 + 0.8 * (1 + math.cos(math.pi * step / STEPS)) / 2)


def momentum_at(step):
    return 0.9 * (1 - step / STEPS / 2)


def plain_loop(run, optimizer, options, batches_a_step=1):
    """Trains the net of `run`. `options`: name -> its value at each step, in the last group."""
    run.parts.data.setup("fit")
    net, loader, step, batch = run.parts.net, run.parts.data.train_dataloader(), 0, 0
    while step < STEPS:
        for x, y in loader:
            (nn.functional.cross_entropy(net(x), y) / batches_a_step).backward()
            batch += 1
            if batch % batches_a_step:
                continue
            for name, value_at in options.items():
                optimizer.param_groups[-1][name] = value_at(step)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step == STEPS:
                break


CASES = {
    "weight decay": (DECAY, {"weight_decay": decay_at}),
    "momentum": (MOMENTUM, {"momentum": momentum_at}),
    "both": ((*DECAY, *MOMENTUM), {"weight_decay": decay_at, "momentum": momentum_at}),
    "none": (("optimizer.momentum=0.9", "schedules.momentum._target_=null"), {"momentum": lambda step: 0.9}),
}


LOOPS = {"our loop": 1, "Lightning's loop": 3}  # batches a step; an epoch has three


@pytest.mark.parametrize("batches", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize(("given", "options"), CASES.values(), ids=CASES)
def test_the_weights_of_a_plain_loop(make_run, tmp_path, given, options, batches):
    accumulated = ("batch_size=359", f"trainer.accumulate_grad_batches={batches}")
    command = (*SGD_COMMAND, *accumulated, f"budget.steps={STEPS}", *given)
    run, plain = make_run(*command), make_run(*command)
    assert run.train(tmp_path).status == "completed"
    first = {name: value_at(0) for name, value_at in options.items()}
    plain_loop(plain, torch.optim.SGD(plain.parts.net.parameters(), 0.1, **first), options, batches)
    assert_same_weights(run, plain)


def test_each_group_from_its_own_value(make_run, tmp_path):
    command = (f"optimizer._target_={__name__}.half_decayed", "optimizer.lr=0.1", f"budget.steps={STEPS}", *DECAY)
    run, plain = make_run(*command), make_run(*command)
    assert run.train(tmp_path).status == "completed"
    plain_loop(plain, half_decayed(plain.parts.net.parameters(), lr=0.1), {"weight_decay": decay_at})
    assert_same_weights(run, plain)


@pytest.mark.parametrize("batches", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize(("given", "options"), CASES.values(), ids=CASES)
def test_scheduled_options_have_a_curve(make_run, tmp_path, given, options, batches):
    accumulated = ("batch_size=359", f"trainer.accumulate_grad_batches={batches}")
    make_run(*SGD_COMMAND, *accumulated, f"budget.steps={STEPS}", "trainer.log_every_n_steps=3", *given).train(tmp_path)
    curves, at = read_curves(tmp_path), [3, 6, 9, 12, 15, 18, 20]
    assert curves["lr"].values.tolist() == pytest.approx([0.1] * len(at))
    scheduled = {} if "schedules.momentum._target_=null" in given else options
    for name, value_at in scheduled.items():
        assert curves[name].steps.tolist() == at
        assert curves[name].values.tolist() == pytest.approx([value_at(step - 1) for step in at])
    assert {tag for tag in curves if tag in ("weight_decay", "momentum")} == set(scheduled)


def test_each_group_has_a_curve_of_its_own(make_run, tmp_path):
    groups = ("optimizer=adamw", "optimizer.lr=0.01", "param_groups=no_decay", "budget.steps=20", *DECAY)
    rates = ("param_groups.no_decay.lr=0.02", "schedule=linear", "trainer.log_every_n_steps=4", "checkpoint_every=0")
    make_run(*groups, *rates).train(tmp_path / "whole")
    make_run(*groups, *rates).train(tmp_path / "pieces", stop=StopsAfter(10))
    make_run(*groups, *rates).train(tmp_path / "pieces")
    for folder in (tmp_path / "whole", tmp_path / "pieces"):
        curves, at = read_curves(folder), [4, 8, 12, 16, 20]
        expected = {
            "weight_decay/decay": [decay_at(step - 1) for step in at],
            "weight_decay/no_decay": [0.0] * 5,
            "lr/decay": [0.01 * (1 - (step - 1) / 20) for step in at],
            "lr/no_decay": [0.02 * (1 - (step - 1) / 20) for step in at],
        }
        assert {tag for tag in curves if tag.startswith(("weight_decay", "lr"))} == set(expected)
        for tag, values in expected.items():
            assert curves[tag].steps.tolist() == at
            assert curves[tag].values.tolist() == pytest.approx(values)


def test_momentum_that_rises_from_0_in_our_optimizer(make_run, tmp_path):
    rises = ("schedules.momentum._target_=bakeoff.schedules.warmup_cosine", "schedules.momentum.warmup=0.5")
    command = ("optimizer.lr=0.1", "optimizer.momentum=0.9", f"budget.steps={STEPS}", *rises)
    run, plain = make_run(*command), make_run(*command)
    assert run.train(tmp_path).status == "completed"
    expected = {"momentum": lambda step: 0.9 * warmup_cosine(step / STEPS, warmup=0.5)}
    plain_loop(plain, torch.optim.SGD(plain.parts.net.parameters(), 0.1), expected)
    assert_same_weights(run, plain, rtol=1e-5, atol=1e-6)


def assert_same_weights(run, plain, rtol=0.0, atol=0.0):
    for ours, theirs in zip(run.parts.net.parameters(), plain.parts.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


def test_a_schedule_is_part_of_what_a_run_is(make_run):
    plain, scheduled = make_run("optimizer.weight_decay=0.1"), make_run(*DECAY)
    assert make_run("optimizer.weight_decay=0.1", "schedules.weight_decay=null").identity == plain.identity
    assert make_run("optimizer.weight_decay=0.1", "schedules.weight_decay._target_=null").identity == plain.identity
    assert len({plain.identity, scheduled.identity, make_run(*DECAY[:2]).identity}) == 3
    assert f"{__name__}.falls" in own_names(make_run(*MOMENTUM).settings)
    shown = scheduled.hyperparameters
    assert (shown["schedules.weight_decay"], shown["schedules.weight_decay.final"]) == ("cosine", 0.2)
    assert not [name for name in plain.hyperparameters if name.startswith("schedules")]


ONE_CYCLE = (f"schedule._target_={__name__}.follows_optimizer", "optimizer.momentum=0.9", f"budget.steps={STEPS}")
OWN = (f"module._target_={__name__}.OwnModule", "metric=val_loss", "metric_direction=min")
REFUSED = {
    "an option that it does not have": (
        ("optimizer=adam", f"schedules.momentum._target_={COSINE}"),
        "schedules.momentum: Adam has no momentum",
    ),
    "a misspelt option": (
        (f"schedules.weigth_decay._target_={COSINE}",),
        "schedules.weigth_decay: SGD has no weigth_decay .did you mean weight_decay",
    ),
    "an option that is 0": (
        (f"schedules.weight_decay._target_={COSINE}",),
        "schedules.weight_decay: weight_decay of SGD is 0, times any factor 0; give optimizer.weight_decay=...",
    ),
    "an option that is no number": (
        ("optimizer=torch_adam", f"schedules.betas._target_={COSINE}"),
        "schedules.betas: betas of Adam must be a number to be scheduled, got a tuple",
    ),
    "its parameters": (
        (f"schedules.params._target_={COSINE}",),
        "schedules.params: params of SGD must be a number to be scheduled, got a list",
    ),
    "a number": ((f"schedules={{1:{{_target_:{COSINE}}}}}",), "schedules.1: SGD has no 1"),
    "an option that is true or false": (
        ("optimizer.nesterov=true", "optimizer.momentum=0.9", f"schedules.nesterov._target_={COSINE}"),
        "schedules.nesterov: nesterov of SGD must be a number to be scheduled, got a bool",
    ),
    "the learning rate": (
        (f"schedules.lr._target_={COSINE}",),
        "schedules.lr: the learning rate has a group of its own; give schedule=cosine",
    ),
    "no class": (
        ("schedules.weight_decay=cosine",),
        "schedules.weight_decay=cosine: no schedule is named; give schedules.weight_decay._target_=",
    ),
    "an argument without a class": (
        ("schedules.weight_decay.final=0.1",),
        "nothing reads schedules.weight_decay.final: no schedule is named; give schedules.weight_decay._target_=",
    ),
    "no mapping": (("schedules=cosine",), "schedules must be a group of settings, got cosine"),
    "a bad argument": (
        (f"schedules.weight_decay._target_={COSINE}", "schedules.weight_decay.final=2"),
        r"schedules.weight_decay: final must be in \[0, 1\], got 2",
    ),
    "an argument that it does not have": (
        (f"schedules.weight_decay._target_={COSINE}", "schedules.weight_decay.finale=2"),
        "schedules.weight_decay: .*finale",
    ),
    "torch's scheduler": (
        ("schedules.weight_decay._target_=torch.optim.lr_scheduler.StepLR", "schedules.weight_decay.step_size=3"),
        "schedules.weight_decay: torch.optim.lr_scheduler.StepLR is called with the optimizer; give a function of the",
    ),
    "a negative factor": (
        (*DECAY[:1], f"schedules.weight_decay._target_={__name__}.is_negative"),
        "schedules.weight_decay: after 75% of the budget the factor must be >= 0, got -0.5",
    ),
    "momentum that another schedule sets": (
        (*ONE_CYCLE, f"schedules.momentum._target_={COSINE}"),
        "schedules.momentum: OneCycleLR sets the momentum itself; switch off its cycle_momentum",
    ),
    "a LightningModule of one's own": (
        (*OWN, f"schedules.weight_decay._target_={COSINE}"),
        "schedules.weight_decay: the optimizer's steps are OwnModule's own; change its weight_decay there",
    ),
}


@pytest.mark.parametrize(("command", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_training(make_run, command, message):
    with pytest.raises(UserError, match=message) as refused:
        make_run(*command)
    assert "\n" not in str(refused.value)

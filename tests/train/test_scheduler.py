"""Schedulers of torch's kind by `_target_`: stepped once an optimizer step, with the numbers of a plain loop."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, StepLR

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves

TORCH = "schedule._target_=torch.optim.lr_scheduler"
CASES = {
    "cosine": ((f"{TORCH}.CosineAnnealingLR", "+schedule.T_max=7"), lambda o: CosineAnnealingLR(o, T_max=7)),
    "step": ((f"{TORCH}.StepLR", "+schedule.step_size=3"), lambda o: StepLR(o, step_size=3)),
    "one cycle": (
        (f"{TORCH}.OneCycleLR", "+schedule.max_lr=0.3", "+schedule.total_steps=20"),
        lambda o: OneCycleLR(o, max_lr=0.3, total_steps=20),
    ),
    "a function": ((f"schedule._target_={__name__}.inverse",), lambda o: LambdaLR(o, lambda step: 1 / (1 + step))),
}


def inverse(optimizer):
    return LambdaLR(optimizer, lambda step: 1 / (1 + step))


def nothing(optimizer):
    return 3


def other_name(opt):
    return StepLR(opt, 3)


def plain_loop(run, scheduler_of, steps):
    """The learning rate of each step; trains the net of `run`."""
    run.parts.data.setup("fit")
    net = run.parts.net
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    scheduler, rates, loader = scheduler_of(optimizer), [], run.parts.data.train_dataloader()
    while len(rates) < steps:
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            if len(rates) == steps:
                break
    return rates


@pytest.mark.parametrize(("given", "scheduler_of"), CASES.values(), ids=CASES)
def test_the_rates_and_weights_of_a_plain_loop(make_run, tmp_path, given, scheduler_of):
    command = ("optimizer=torch_sgd", "optimizer.lr=0.1", "optimizer.momentum=0.9", "budget.steps=20", *given)
    run, plain = make_run(*command, "trainer.log_every_n_steps=1"), make_run(*command)
    assert run.train(tmp_path).status == "completed"
    rates = plain_loop(plain, scheduler_of, 20)
    assert read_curves(tmp_path)["lr"].values.tolist() == pytest.approx(rates)
    for ours, theirs in zip(run.parts.net.parameters(), plain.parts.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_with_accumulation_it_steps_with_the_optimizer(make_run, tmp_path):
    command = (f"{TORCH}.StepLR", "+schedule.step_size=3", "trainer.accumulate_grad_batches=2", "budget.steps=8")
    make_run(*command, "trainer.log_every_n_steps=1").train(tmp_path)
    assert read_curves(tmp_path)["lr"].values.tolist() == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001] * 2)


REFUSED = {
    "plateau": (
        (f"{TORCH}.ReduceLROnPlateau",),
        "schedule: ReduceLROnPlateau follows a metric, and a schedule here follows the steps: use schedule=step, or "
        "return it from configure_optimizers of a LightningModule of your own",
    ),
    "too short": (
        (f"{TORCH}.OneCycleLR", "+schedule.max_lr=0.3", "+schedule.total_steps=10", "budget.steps=11"),
        "schedule: OneCycleLR ends after 10 steps, and the budget has 11: give schedule.total_steps=11",
    ),
    "an argument is missing": ((f"{TORCH}.StepLR",), r"schedule: StepLR.__init__\(\) missing 1 required positional"),
    "an argument too many": ((f"{TORCH}.ExponentialLR", "+schedule.gama=0.9"), "schedule: .* argument 'gama'"),
    "no scheduler": (
        (f"schedule._target_={__name__}.nothing",),
        r"schedule: got a int, not a torch\.optim\.lr_scheduler\.LRScheduler",
    ),
    "another name": (
        (f"schedule._target_={__name__}.other_name",),
        "schedule: .*float.*; one that is called with the optimizer names its first parameter `optimizer`$",
    ),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_training(make_run, given, message):
    with pytest.raises(UserError, match=message) as raised:
        make_run(*given)
    assert "\n" not in str(raised.value)

"""Optimizers with `train()` and `eval()`: x is validated, tested, saved and left; y is trained and resumed."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bakeoff.losses import CrossEntropy
from bakeoff.module import SupervisedModule, use_lean_loop
from bakeoff.module.optimizer_mode import OptimizerMode

from .schedule_free import ScheduleFreeSGD
from .small import Y, loader, trainer

LR, BETA = 0.2, 0.8


def module():
    torch.manual_seed(0)
    factory = partial(ScheduleFreeSGD, lr=LR, beta=BETA)
    return SupervisedModule(nn.Linear(5, 7), CrossEntropy(), factory, n_out=7)


def averages(epochs):
    """x after each epoch, from the definition in float64: z, x and y apart."""
    net = module().net.double()
    z = [p.detach().clone() for p in net.parameters()]
    x, k, found = [p.clone() for p in z], 0, []
    for _ in range(epochs):
        for batch, target in loader(Y):
            with torch.no_grad():
                for p, zi, xi in zip(net.parameters(), z, x, strict=True):
                    p.copy_((1 - BETA) * zi + BETA * xi)
            net.zero_grad()
            cross_entropy(net(batch.double()), target).backward()
            k += 1
            for i, p in enumerate(net.parameters()):
                z[i] = z[i] - LR * p.grad
                x[i] = (1 - 1 / k) * x[i] + z[i] / k
        found.append([xi.clone() for xi in x])
    return found


class Seen(pl.Callback):
    """The weights in each validation, from its first hook to its last."""

    def __init__(self):
        self.validated, self.trained = [], []

    def _keep(self, trainer, pl_module, *_):
        self.validated.append([p.detach().clone() for p in pl_module.net.parameters()])

    on_validation_start = on_validation_batch_end = on_validation_end = _keep

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.trained.append([p.detach().clone() for p in pl_module.net.parameters()])


def close(found, expected):
    return all(
        torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6) for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("lean", [True, False], ids=["our loop", "Lightning's loop"])
def test_x_is_validated_and_left_at_the_end(tmp_path, lean):
    seen, made = Seen(), module()
    runner = trainer(tmp_path, callbacks=[seen], max_epochs=3)
    (use_lean_loop(runner) if lean else runner).fit(made, loader(Y), loader(Y))
    expected = averages(3)
    for epoch in range(3):
        of_epoch = seen.validated[10 * epoch : 10 * epoch + 10]  # 8 batches, a start and an end
        assert all(close(weights, expected[epoch]) for weights in of_epoch)
    assert close(made.net.parameters(), expected[-1])
    assert not close(seen.trained[12], seen.validated[9])  # y and x do differ


def test_a_test_sees_x_and_changes_nothing(tmp_path):
    made, runner = module(), trainer(tmp_path)
    runner.fit(made, loader(Y), loader(Y))
    after = [p.detach().clone() for p in made.net.parameters()]
    runner.validate(made, loader(Y), verbose=False)
    runner.test(made, loader(Y), verbose=False)
    assert all(torch.equal(a, b) for a, b in zip(after, made.net.parameters(), strict=True))
    assert close(after, averages(2)[-1])


class Saves(pl.Callback):
    """Writes a checkpoint in a hook, at a step."""

    def __init__(self, hook, step, path):
        self._step, self._path = step, path
        setattr(self, hook, self._save)

    def _save(self, trainer, pl_module, *_):
        if trainer.global_step == self._step and not self._path.exists():
            trainer.save_checkpoint(self._path)


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("hook", ["on_train_epoch_end", "on_validation_end"])
def test_a_checkpoint_holds_x_resumes_y_and_disturbs_nothing(tmp_path, hook, epoch):
    """In a validation the optimizer is in one mode, at the end of an epoch in the other."""
    path, whole = tmp_path / "x.ckpt", module()
    trainer(tmp_path, max_epochs=3).fit(whole, loader(Y), loader(Y))
    saved = module()
    trainer(tmp_path, max_epochs=3, callbacks=[Saves(hook, 8 * epoch, path)]).fit(saved, loader(Y), loader(Y))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), saved.parameters(), strict=True))
    state = torch.load(path, weights_only=True)["state_dict"]
    assert close([state["net.weight"], state["net.bias"]], averages(epoch)[-1])
    resumed = module()
    trainer(tmp_path, max_epochs=3).fit(resumed, loader(Y), loader(Y), ckpt_path=path, weights_only=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_checkpoint_is_tested_with_x(tmp_path):
    path, made = tmp_path / "x.ckpt", module()
    trainer(tmp_path, max_epochs=2, callbacks=[Saves("on_train_epoch_end", 8, path)]).fit(made, loader(Y), loader(Y))
    fresh = module()
    trainer(tmp_path).test(fresh, loader(Y), ckpt_path=path, weights_only=True, verbose=False)
    assert close(fresh.net.parameters(), averages(1)[-1])


def test_an_optimizer_without_modes_is_left_alone():
    mode = OptimizerMode(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))
    assert not mode.switches
    mode.train()
    mode.eval()
    assert not OptimizerMode().switches


def test_each_change_is_told_once(tmp_path):
    told = []

    def factory(parameters):
        optimizer = ScheduleFreeSGD(parameters)
        optimizer.switches = told
        return optimizer

    made = module()
    made._optimizer_factory = factory
    trainer(tmp_path, max_epochs=2).fit(made, loader(Y), loader(Y))
    assert told == ["train", "eval", "train", "eval", "train", "eval"]

"""Optimizers of pytorch_optimizer and schedulefree join a sweep by their names, with the numbers of a plain loop."""

import pytest
import pytorch_optimizer
import schedulefree
import torch
from torch.nn.functional import cross_entropy

from bakeoff.errors import UserError
from bakeoff.report.curves import read_curves

from ..command_line import bakeoff, outcomes
from .test_resume import curves, in_pieces, weights

__all__ = ["bakeoff", "outcomes"]

CASES = {
    "Lion": (pytorch_optimizer.Lion, {"lr": 0.001, "weight_decay": 0.01}),
    "SOAP": (pytorch_optimizer.SOAP, {"lr": 0.01, "precondition_frequency": 5}),
    "Prodigy": (pytorch_optimizer.Prodigy, {"lr": 1.0, "d0": 0.001}),
    "schedule-free AdamW": (schedulefree.AdamWScheduleFree, {"lr": 0.01, "warmup_steps": 5, "weight_decay": 0.01}),
}
STEPS = 40  # of 17 an epoch
COMMAND = (
    "batch_size=64",
    f"budget.steps={STEPS}",
    "budget.validations=5",
    "trainer.log_every_n_steps=1",
    "trainer.sample_every_n_steps=7",
)


def command(case):
    kind, options = CASES[case]
    target = f"optimizer._target_={kind.__module__.split('.')[0]}.{kind.__name__}"
    return (*COMMAND, target, *(f"++optimizer.{name}={value}" for name, value in options.items()))


class PlainLoop:
    """Trains the net of a run, whose own training is not used; `accuracies` are those on the validation data."""

    def __init__(self, run, case):
        kind, options = CASES[case]
        self.net, self.data = run.parts.net, run.parts.data
        self.optimizer = kind(self.net.parameters(), **options)
        self.losses, self.accuracies = [], {}

    def train(self, validated_after):
        self._switch("train")
        for x, y in self._batches():
            self.optimizer.zero_grad()
            loss = cross_entropy(self.net(x), y, reduction="none").mean()  # as losses here are reduced
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
            if len(self.losses) in validated_after:
                self._validate()

    def _batches(self):
        loader, batches = self.data.train_dataloader(), []
        for epoch in range(STEPS):
            loader.set_epoch(epoch)
            batches.extend(loader)
        return batches[:STEPS]

    def _validate(self):
        x, y = self.data.arrays.val
        self._switch("eval")
        with torch.no_grad():
            right = self.net(x).argmax(1) == y
        self.accuracies[len(self.losses)] = right.float().mean().item()
        if len(self.losses) < STEPS:
            self._switch("train")

    def _switch(self, mode):
        if isinstance(self.optimizer, schedulefree.AdamWScheduleFree):
            getattr(self.optimizer, mode)()


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_those_of_a_plain_loop(make_run, tmp_path, case):
    assert make_run(*command(case)).train(tmp_path).status == "completed"
    loss, accuracy = (read_curves(tmp_path)[tag] for tag in ("train/loss", "val/accuracy"))
    plain = PlainLoop(make_run(*command(case)), case)
    plain.train(validated_after=accuracy.steps.tolist())
    assert loss.values.tolist() == plain.losses
    assert plain.losses[-1] < 0.7 * plain.losses[0]
    assert len(plain.accuracies) >= 5
    assert accuracy.values.tolist() == list(plain.accuracies.values())
    trained = weights(tmp_path)
    assert all(torch.equal(trained[f"net.{name}"], value) for name, value in plain.net.state_dict().items())


@pytest.mark.parametrize("case", CASES)
def test_a_run_in_pieces_is_the_run_at_once(make_run, tmp_path, case):
    whole = make_run(*command(case)).train(tmp_path / "whole")
    pieces, attempts = in_pieces(make_run, tmp_path / "pieces", command(case), 7)
    assert attempts > 4
    assert (pieces.status, pieces.metrics) == ("completed", whole.metrics)
    assert curves(tmp_path / "pieces") == curves(tmp_path / "whole")
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "pieces")
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("case", ["SOAP", "Prodigy"])
def test_a_misspelt_option_is_refused(make_run, case):
    with pytest.raises(UserError, match=r"nothing reads optimizer\.weight_dcay: .* \(did you mean weight_decay\?\)"):
        make_run(*command(case), "+optimizer.weight_dcay=0.1")


@pytest.mark.long
def test_two_of_them_are_compared_by_the_command(bakeoff, outcomes):
    targets = "optimizer._target_=pytorch_optimizer.Lion,schedulefree.AdamWScheduleFree"
    result = bakeoff("-m", targets, "optimizer.lr=0.003", "seed=0,1", "budget.steps=20", "trainer=cpu", "sweep=others")
    assert result.status == 0, result.err
    records = outcomes()
    assert len(records) == 4
    assert {record["status"] for record in records.values()} == {"completed"}
    assert all(record["metrics"]["val/accuracy"]["final"] > 0.5 for record in records.values())
    assert "pytorch_optimizer.Lion" in result.out

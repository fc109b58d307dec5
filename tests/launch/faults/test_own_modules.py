"""`kill -9` of a sweep over a user's own LightningModule, which makes its steps itself: nothing is lost, to the bit."""

import signal

import pytest

from .processes import wait_for
from .records import in_the_middle, records, result

MODULE = """
import lightning
import torch
from torch.nn import functional as F


class TwoOptimizers(lightning.LightningModule):
    def __init__(self, n_in, n_out, lr=0.01):
        super().__init__()
        self.automatic_optimization, self.lr = False, lr
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_in, 32), torch.nn.Dropout(0.2))
        self.head = torch.nn.Linear(32, n_out)

    def forward(self, x):
        return self.head(self.body(x).relu())

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        self.log("train_loss", loss)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_nll", F.cross_entropy(self(x), y))

    def configure_optimizers(self):
        body = torch.optim.SGD(self.body.parameters(), lr=self.lr, momentum=0.9)
        return [body, torch.optim.Adam(self.head.parameters(), lr=self.lr)]
"""
COMMAND = (
    *("-m", "module._target_=mine.TwoOptimizers", "module.lr=0.01,0.003", "metric=val_nll", "metric_direction=min"),
    *("trainer=cpu", "trainer.threads=1", "workers=2", "checkpoint_every=0", "budget.steps=800", "batch_size=32"),
)


@pytest.mark.long
def test_killed_and_given_again(start, tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    whole, killed = (tmp_path / "outputs" / name for name in ("whole", "killed"))
    said = start(*COMMAND, "sweep=whole").wait()
    assert said.status == 0, said.text
    for _ in range(3):
        command = start(*COMMAND, "sweep=killed")
        wait_for(lambda: len(in_the_middle(killed)) == 2)
        command.signal(signal.SIGKILL)
        command.wait()
    said = start(*COMMAND, "sweep=killed").wait()
    assert said.status == 0, said.text
    expected = {record["identity"]: result(run) for run, record in records(whole).items()}
    found = {record["identity"]: result(run) for run, record in records(killed).items()}
    assert len(expected) == 2
    assert found == expected

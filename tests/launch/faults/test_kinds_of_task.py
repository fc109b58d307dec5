"""`kill -9` of a sweep over every kind of task, of outputs and of steps: nothing is lost, to the bit."""

import json
import signal

import pytest

from .processes import wait_for
from .records import in_the_middle, records, result

MODULE = """
from collections import namedtuple
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

Output = namedtuple("Output", "logits hidden")
RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(300, 8, generator=RANDOM)
W = torch.randn(8, 5, generator=RANDOM)


class Tokens(Dataset):
    num_classes = 6

    def __init__(self):
        self.x = torch.randint(0, 6, (300, 9), generator=torch.Generator().manual_seed(1))

    def __len__(self):
        return 300

    def __getitem__(self, i):
        return {"input_ids": self.x[i], "labels": self.x[i].roll(-1)}


class Language(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(n_out, 8), nn.Linear(8, 8), nn.Linear(8, n_out)

    def forward(self, x):
        hidden = F.dropout(self.body(self.embedding(x)).relu(), 0.1, self.training)
        return Output(self.head(hidden), hidden)


class Pixels(Dataset):
    num_classes = 3

    def __init__(self):
        random = torch.Generator().manual_seed(2)
        self.y = torch.randint(0, 3, (300, 6, 6), generator=random)
        self.x = F.one_hot(self.y, 3).movedim(-1, 1) + torch.randn(300, 3, 6, 6, generator=random)

    def __len__(self):
        return 300

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Segments(nn.Sequential):
    def __init__(self, n_out):
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, n_out, 1))


class Uncertainty(nn.Module):
    task = "regression"

    def __init__(self):
        super().__init__()
        self.log_s = nn.Parameter(torch.zeros(2))

    def forward(self, output, target):
        return ((output - target) ** 2 * torch.exp(-2 * self.log_s) + 2 * self.log_s).mean(1)


def labels():
    return TensorDataset(X, (X @ W > 0).float())


def columns():
    return TensorDataset(X, X @ W[:, :2])
"""
OPTIONS = {
    "data/tokens": "_target_: mine.Tokens",
    "data/pixels": "_target_: mine.Pixels",
    "data/labels": "_target_: mine.labels",
    "data/columns": "_target_: mine.columns",
    "model/language": "_target_: mine.Language",
    "model/segments": "_target_: mine.Segments",
    "loss/uncertainty": "_target_: mine.Uncertainty",
}
EXPERIMENTS = {
    "tokens": ["override /data: tokens", "override /model: language", "override /metrics: [f1, perplexity]"],
    "pixels": ["override /data: pixels", "override /model: segments", "override /metrics: [iou]"],
    "labels": ["override /data: labels", "override /loss: bce"],
    "columns": ["override /data: columns", "override /loss: uncertainty"],
    "split": ["override /optimizer: muon"],
    "accumulated": [],
}
SETTINGS = {"accumulated": "trainer: {accumulate_grad_batches: 3}\nema: {decay: 0.99}\n"}
COMMAND = (
    *("-m", f"experiment={','.join(EXPERIMENTS)}", "trainer=cpu", "trainer.threads=1", "workers=2"),
    *("checkpoint_every=0", "budget.steps=500", "batch_size=32"),
)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.long
def test_killed_and_given_again(start, tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    for name, text in OPTIONS.items():
        write(tmp_path / "conf" / f"{name}.yaml", text)
    for name, chosen in EXPERIMENTS.items():
        text = f"# @package _global_\ndefaults: {json.dumps(chosen).replace(chr(34), '')}\n{SETTINGS.get(name, '')}"
        write(tmp_path / "conf" / "experiment" / f"{name}.yaml", text)
    whole, killed = (tmp_path / "outputs" / name for name in ("whole", "killed"))
    said = start(*COMMAND, "sweep=whole").wait()
    assert said.status == 0, said.text
    for _ in range(4):  # each time in the middle of two others, as runs end
        command = start(*COMMAND, "sweep=killed")
        wait_for(lambda: len(in_the_middle(killed)) == 2)
        command.signal(signal.SIGKILL)
        command.wait()
    said = start(*COMMAND, "sweep=killed").wait()
    assert said.status == 0, said.text
    expected = {record["identity"]: result(run) for run, record in records(whole).items()}
    found = {record["identity"]: result(run) for run, record in records(killed).items()}
    assert len(expected) == len(EXPERIMENTS)
    assert found == expected

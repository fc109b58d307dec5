"""Files that a net, a loss or a callback reads decide what the same run is, or it is said that they are not known."""

import json
import os
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.errors import UserError

HERE = __name__


class FromWeights(nn.Module):
    """Begins with the weights in a file."""

    def __init__(self, n_in, n_out, init="weights.pt"):
        super().__init__()
        self.net = nn.Linear(n_in, n_out)
        self.net.load_state_dict(torch.load(init, weights_only=True))

    def forward(self, x):
        return self.net(x.flatten(1))


class FromConfiguration(nn.Module):
    """Reads a file that no setting names."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Linear(n_in, n_out)
        self.scale = json.loads(Path("net.json").read_text())["scale"]

    def forward(self, x):
        return self.scale * self.net(x.flatten(1))


class Weighted:
    task = "classification"

    def __init__(self, weights):
        self.weights = torch.from_numpy(np.load(weights)).float()

    def __call__(self, output, target):
        return F.cross_entropy(output, target, self.weights)


class Reader(pl.Callback):
    def __init__(self, path):
        self.content = Path(path).read_text()


def write(number):
    torch.manual_seed(number)
    torch.save(nn.Linear(64, 10).state_dict(), "weights.pt")
    np.save("class_weights.npy", np.linspace(1, 1 + number, 10))
    Path("net.json").write_text(json.dumps({"scale": 1.0 + number}))


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(0)


NAMED = {
    "the net's": (f"model._target_={HERE}.FromWeights", "+model.init=weights.pt"),
    "the net's by default": (f"model._target_={HERE}.FromWeights",),
    "a callback's": (f"+callbacks.reader._target_={HERE}.Reader", "+callbacks.reader.path=net.json"),
    "the loss's": (f"loss._target_={HERE}.Weighted", "+loss.weights=class_weights.npy"),
}


@pytest.mark.parametrize("command", NAMED.values(), ids=NAMED)
def test_content_of_a_file_that_a_setting_names(make_run, in_folder, command):
    run = make_run(*command)
    assert make_run(*command).identity == run.identity
    assert run.assumed is None
    write(1)
    assert make_run(*command).identity != run.identity
    write(0)
    assert make_run(*command).identity == run.identity


UNNAMED = {
    "a net's": ((f"model._target_={HERE}.FromConfiguration",), "net.json, read as the run is built"),
}


@pytest.mark.parametrize(("command", "assumed"), UNNAMED.values(), ids=UNNAMED)
def test_what_no_setting_names_is_said(make_run, in_folder, command, assumed):
    run = make_run(*command)
    assert run.assumed == assumed
    write(1)
    assert make_run(*command).identity == run.identity  # and so it is said


class Writer(pl.Callback):
    def __init__(self, path):
        self.path = path

    def on_train_end(self, trainer, pl_module):
        Path(self.path).write_text("trained")


def test_a_file_that_a_callback_writes_is_no_part_of_the_run(make_run, in_folder, tmp_path):
    command = (f"+callbacks.writer._target_={HERE}.Writer", "+callbacks.writer.path=log.csv", "budget.steps=3")
    run = make_run(*command)
    assert run.train(tmp_path / "run").status == "completed"
    assert Path("log.csv").exists()
    again = make_run(*command)
    assert (again.identity, again.assumed) == (run.identity, None)


class Overwritten(Reader):
    """Another process writes the file as soon as it was read."""

    def __init__(self, path):
        super().__init__(path)
        os.system(f"echo more >> {path}")


def test_a_file_that_changes_while_the_run_is_built_is_refused(make_run, in_folder):
    with pytest.raises(UserError, match=r"^net\.json changed while the run was built; run the command again$"):
        make_run(f"+callbacks.reader._target_={HERE}.Overwritten", "+callbacks.reader.path=net.json")


def test_nothing_is_assumed_of_parts_that_read_nothing(make_run):
    assert make_run().assumed is None

"""Labels of tokens and pixels in an .npz file or a TensorDataset, trained by the command: numbers as scikit-learn's."""

import json
import re

import numpy as np
import pytest
import sklearn.metrics
import torch
from hydra.utils import instantiate
from torch import nn
from torch.utils.data import TensorDataset

from bakeoff.data.split import split
from bakeoff.errors import UserError

from ..command_line import bakeoff

__all__ = ["bakeoff"]

N, CLASSES = 60, 4
HERE = f"_target_={__name__}"
QUICK = (
    "trainer=cpu",
    "trainer.threads=1",
    "workers=1",
    "optimizer=adam",
    "optimizer.lr=0.03",
    "budget.steps=12",
    "batch_size=16",
)
TORCHS = "loss._target_=torch.nn.CrossEntropyLoss"


class Language(nn.Module):
    """(N, T) -> (N, T, C)."""

    def __init__(self, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Embedding(8, 8), nn.Linear(8, n_out))

    def forward(self, x):
        return self.net(x)


class Segmentation(nn.Sequential):
    """(N, 1, H, W) -> (N, C, H, W)."""

    def __init__(self, n_out):
        super().__init__(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, n_out, 3, padding=1))


def tokens(ignored=None):
    rng = np.random.default_rng(0)
    x = (rng.integers(0, CLASSES, (N, 1)) + rng.integers(0, 2, (N, 9)).cumsum(1)) % CLASSES
    return x, with_ignored((x + 1) % CLASSES, ignored)


def pixels(ignored=None):
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, (N, 6, 5))
    return y[:, None] - 1.5 + 0.4 * rng.normal(size=(N, 1, 6, 5)), with_ignored(y, ignored)


def with_ignored(y, label):
    return y if label is None else np.where(np.random.default_rng(1).random(y.shape) < 0.3, label, y)


PROBLEMS = {
    "tokens": (tokens, "Language", "data.standardise=false"),
    "pixels": (pixels, "Segmentation", "batch_size=16"),
}


def tensors(problem, ignored=None):
    x, y = PROBLEMS[problem][0](ignored)
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(y))


def measured(folder, x, y, part):
    """Accuracy and nll of the saved weights on a part, from the data's own values; labels but 0 to 3 left out."""
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    net = instantiate(checkpoint["model"], _convert_="all").eval()
    net.load_state_dict({name.removeprefix("net."): w for name, w in checkpoint["state_dict"].items()})
    index = split(N, {"test": 0.2, "val": 0.2}, split_seed=0)[part]
    inputs, scaling = torch.from_numpy(x[index]), checkpoint["scaling"]
    if inputs.is_floating_point():
        inputs = ((inputs - scaling["x_mean"]) / scaling["x_std"]).float()
    with torch.no_grad():
        logits = net(inputs).movedim(checkpoint["task"]["class_axis"], -1).double().numpy().reshape(-1, CLASSES)
    labels = y[index].reshape(-1)
    keep = (labels >= 0) & (labels < CLASSES)
    logits, labels = logits[keep], labels[keep]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert scaling["classes"].tolist() == list(range(CLASSES))
    accuracy = sklearn.metrics.accuracy_score(labels, logits.argmax(1))
    return accuracy, sklearn.metrics.log_loss(labels, p, labels=range(CLASSES))


@pytest.mark.parametrize("ignored", [None, -100, 255])
@pytest.mark.parametrize("source", ["npz", "TensorDataset"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_they_train_by_the_command(bakeoff, tmp_path, problem, source, ignored):
    make, net, *more = PROBLEMS[problem]
    x, y = make(ignored)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    data = {
        "npz": ("data=array", "data.path=x.npz", *more),
        "TensorDataset": (f"data.{HERE}.tensors", f"+data.problem={problem}", f"+data.ignored={ignored or 'null'}"),
    }[source]
    loss = ("loss=cross_entropy",) if ignored is None else (TORCHS, f"+loss.ignore_index={ignored}")
    done = bakeoff(*QUICK, *data, f"model.{HERE}.{net}", *loss)
    assert done.status == 0, done.err
    [folder] = (tmp_path / "outputs/main").glob("*/seed=0")
    metrics = json.loads((folder / "outcome.json").read_text())["metrics"]
    for part in ("val", "test"):
        accuracy, nll = measured(folder, x, y, part)
        assert metrics[f"{part}/accuracy"]["final"] == pytest.approx(accuracy, abs=1e-6)
        assert metrics[f"{part}/nll"]["final"] == pytest.approx(nll, rel=1e-5)
        assert metrics[f"{part}/loss"]["final"] == pytest.approx(nll, rel=1e-5)
    assert accuracy > 0.5  # of 4 classes


def test_both_sources_of_tokens_are_one_run(make_run, tmp_path):
    x, y = tokens()
    np.savez(tmp_path / "x.npz", x=x, y=y)
    net = f"model.{HERE}.Language"
    npz = make_run(*QUICK[3:], "data=array", f"data.path={tmp_path}/x.npz", "data.standardise=false", net)
    other = make_run(*QUICK[3:], f"data.{HERE}.tensors", "+data.problem=tokens", net)
    assert npz.identity == other.identity


@pytest.mark.parametrize(
    ("problem", "ignored", "settings", "message"),
    [
        ("tokens", -100, ("data.standardise=false",), "the label -100, .* ignore_index=-100"),
        ("tokens", None, (), "does not take examples .* tokens must not be standardised: say data.standardise=false"),
        ("pixels", 255, (TORCHS,), "labels 0, 1, 2, 3, 255 .* the loss's ignore_index"),
        ("pixels", 255, ("data.ignore_index=255",), "the label 255, .* ignore_index=255"),
        (
            "pixels",
            None,
            ("model=mlp",),
            r"gives \(2, 4\) for targets \(2, 6, 5\); metrics need .* data.task=regression",
        ),
        ("pixels", None, ("data.num_classes=3",), "num_classes=3: labels must be in"),
        ("pixels", None, ("loss=bce",), "bce|BCE"),
    ],
)
def test_what_does_not_fit_is_one_line(bakeoff, tmp_path, problem, ignored, settings, message):
    make, net, *_ = PROBLEMS[problem]
    x, y = make(ignored)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    model = () if "model=mlp" in settings else (f"model.{HERE}.{net}",)
    done = bakeoff(*QUICK, "data=array", "data.path=x.npz", *model, *settings)
    assert done.status
    assert re.search(message, done.err), done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_label_that_only_a_late_sample_has_is_found_before_training(make_run, tmp_path):
    """The first few examples do not have it."""
    x, y = pixels()
    y[-1, 0, 0] = -100
    parts = {f"{axis}_{part}": values for axis, values in (("x", x), ("y", y)) for part in ("train", "val", "test")}
    np.savez(tmp_path / "x.npz", **parts)
    command = (*QUICK[3:], "data=array", f"data.path={tmp_path}/x.npz", f"model.{HERE}.Segmentation")
    with pytest.raises(UserError, match=f"sample {N - 1} of the training part has the label -100"):
        make_run(*command)
    make_run(*command, TORCHS)

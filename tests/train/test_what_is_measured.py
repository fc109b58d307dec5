"""What the metrics of a run say is what scikit-learn says, or the run is refused before it is trained."""

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.data import array
from bakeoff.errors import UserError

CLASSES = 4


class Dense(Dataset):
    """60 images of 6 x 6 pixels, each pixel with a label."""

    num_classes = CLASSES

    def __init__(self, ignore=None):
        generator = torch.Generator().manual_seed(0)
        self.y = torch.randint(0, CLASSES, (60, 3, 3), generator=generator)
        self.y = self.y.repeat_interleave(2, 1).repeat_interleave(2, 2)
        one_hot = F.one_hot(self.y, CLASSES).permute(0, 3, 1, 2).float()
        self.x = one_hot[:, :3] + 0.3 * torch.randn(60, 3, 6, 6, generator=generator)
        if ignore is not None:
            self.y[:, 0] = ignore

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class DenseNet(nn.Module):
    def __init__(self, in_shape, n_out, axis=1):
        super().__init__()
        self.net, self.axis = nn.Conv2d(in_shape[0], n_out, 3, padding=1), axis

    def forward(self, x):
        return self.net(x).movedim(1, self.axis)


class DenseLoss:
    task = "classification"

    def __init__(self, ignored=-100, axis=1):
        self.ignored, self.axis = ignored, axis

    def __call__(self, output, target):
        return F.cross_entropy(output.movedim(self.axis, 1), target, ignore_index=self.ignored)


DENSE = (
    f"data._target_={__name__}.Dense",
    f"model._target_={__name__}.DenseNet",
    f"loss._target_={__name__}.DenseLoss",
)
TORCH_LOSS = "loss._target_=torch.nn.CrossEntropyLoss"


@pytest.mark.parametrize("ignored", [None, 255])
def test_dense_outputs_are_measured_over_all_pixels_that_count(make_run, tmp_path, ignored):
    own = () if ignored is None else (f"+data.ignore={ignored}", TORCH_LOSS, f"+loss.ignore_index={ignored}")
    run = make_run(*DENSE, *own, "optimizer=adam", "optimizer.lr=0.05", "budget.steps=20", "batch_size=8")
    outcome = run.train(tmp_path)
    assert outcome.status == "completed", outcome.error
    batches = list(run.parts.data.val_dataloader())
    with torch.no_grad():
        output = torch.cat([run.parts.net.eval()(x) for x, _ in batches])
    target = torch.cat([y for _, y in batches])
    keep = (target != 255).numpy()
    probabilities = output.double().softmax(1).movedim(1, -1).numpy()[keep]
    final = {name: entry["final"] for name, entry in outcome.metrics.items()}
    true = accuracy_score(target.numpy()[keep], probabilities.argmax(1))
    assert final["val/accuracy"] == pytest.approx(true, rel=1e-6)
    assert final["val/nll"] == pytest.approx(log_loss(target.numpy()[keep], probabilities), rel=1e-5)
    assert final["val/loss"] == pytest.approx(final["val/nll"], rel=1e-5)
    assert {"test/accuracy", "val/ece"} <= set(final)


class Pairs(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out))

    def forward(self, x):
        return {"logits": self.net(x)}


class OddPairs(Pairs):
    def forward(self, x):
        return {"scores": self.net(x)}


class Shrinks(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 1, 3)


class SoftNet(Pairs):
    def forward(self, x):
        return self.net(x).softmax(1)


TOKENS = {"data._target_": "Tokens", "model._target_": "TokenNet", "loss._target_": "FlatLoss"}
REFUSED = {
    "probabilities": (
        (f"model._target_={__name__}.SoftNet",),
        "model: SoftNet gives probabilities; metrics need",
    ),
    "classes last, of one length": (
        (
            f"data._target_={__name__}.Tokens",
            f"model._target_={__name__}.TokenNet",
            f"loss._target_={__name__}.FlatLoss",
        ),
        r"model: TokenNet gives \(2, 5, 5\) for targets \(2, 5\): its classes may be on axis 1 or on the last axis; "
        "say task.class_axis=1 or task.class_axis=-1",
    ),
    "the other axis": (
        (
            f"data._target_={__name__}.Tokens",
            f"model._target_={__name__}.TokenNet",
            f"loss._target_={__name__}.FlatLoss",
            "task.class_axis=1",
        ),
        "task.class_axis=1, but FlatLoss takes the classes on axis -1: say task.class_axis=-1",
    ),
    "an axis of no classes": (
        (f"data._target_={__name__}.multilabel", "loss=bce", "task.class_axis=1"),
        "task.class_axis=1: a task of multilabel has no classes; leave it out",
    ),
    "ignored by another name": (
        (*DENSE, "+data.ignore=255", "+loss.ignored=255"),
        "data: the targets hold the label 255, but there are 4 classes.* give the loss an attribute ignore_index=255",
    ),
    "a dict": (
        (f"model._target_={__name__}.OddPairs",),
        r"model: OddPairs gives a dict; it must give one tensor, \(2, 10\), or hold it as logits \(a key or an attr",
    ),
    "a loss of single labels": (
        (f"data._target_={__name__}.multilabel",),
        "loss CrossEntropy is for classification, but",
    ),
    "a loss of numbers": (
        (f"data._target_={__name__}.multilabel", "loss=mse"),
        "loss MSE is for numbers or single labels, but the data is for multilabel",
    ),
    "several labels that are whole numbers": (
        (f"data._target_={__name__}.MultiHot", "loss=bce"),
        "BCEWithLogitsLoss is for multilabel, but the data is for classification.*; targets of several labels must be "
        r"floating-point numbers, but they are torch.int64: give y\.float\(\)",
    ),
    "several labels that are true or false": (
        (f"data._target_={__name__}.MultiHot", "+data.dtype=bool", "loss=bce"),
        r"but they are torch.bool: give y\.float\(\)",
    ),
    "probabilities as targets": (
        (f"data._target_={__name__}.soft_targets", "loss._target_=torch.nn.BCEWithLogitsLoss"),
        "loss BCEWithLogitsLoss is for multilabel, but the data is for regression",
    ),
    "a sum": (
        (TORCH_LOSS, "+loss.reduction=sum"),
        r"loss: CrossEntropyLoss adds up the losses of a batch, .* give their mean \(reduction=mean\)",
    ),
    "a class that is ignored": (
        (f"data._target_={__name__}.unlabelled", TORCH_LOSS, "+loss.ignore_index=255"),
        "data: the loss ignores the label 255, but the labels 0 to 255 become 0 to 2: drop the samples",
    ),
    "another class that would be ignored": (
        (f"data._target_={__name__}.unlabelled", TORCH_LOSS, "+loss.ignore_index=2"),
        "data: the loss ignores the label 2, but",
    ),
    "truth as labels": (
        (f"data._target_={__name__}.Truths", TORCH_LOSS),
        "loss: CrossEntropyLoss of labels that are true or false: ",
    ),
    "a loss that broadcasts": (
        (
            f"data._target_={__name__}.Lines",
            f"loss._target_={__name__}.Broadcasting",
            f"model._target_={__name__}.Line",
        ),
        r"loss: Broadcasting broadcasts outputs \(\d+, 1\) and targets \(\d+,\): every output is compared with every",
    ),
    "a loss that broadcasts columns": (
        (f"data._target_={__name__}.line", f"loss._target_={__name__}.Aligning", f"model._target_={__name__}.Line"),
        r"loss: Aligning broadcasts outputs \(\d+, 1\) and targets \(\d+, 1\): every output is compared with every",
    ),
    "images of another size": (
        (f"data._target_={__name__}.Images", f"model._target_={__name__}.Shrinks", "loss=mse"),
        r"model: Shrinks gives \(2, 1, 2, 2\) for targets \(2, 1, 4, 4\); metrics need \(2, 1, 4, 4\) for both",
    ),
}


class Line(nn.Linear):
    def __init__(self, n_in):
        super().__init__(n_in, 1)


class Broadcasting(nn.Module):
    def forward(self, output, target):
        return ((output - target) ** 2).mean()


class Aligning(nn.Module):
    def forward(self, output, target):
        return ((output - target.unsqueeze(1)) ** 2).mean()


class Correlation(nn.Module):
    """Of all examples of a batch: it is no mean of theirs."""

    def forward(self, output, target):
        return 1 - torch.corrcoef(torch.stack([output.flatten(), target.flatten()]))[0, 1]


def line():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, x.sum(1) * 2 + 3)


class Lines(TensorDataset):
    """Has targets (N,), as a `Dataset` whose samples are numbers."""

    def __init__(self):
        super().__init__(*line().tensors)


@pytest.mark.parametrize(
    ("data", "loss"), [("Lines", Aligning), ("Lines", Correlation), ("line", Broadcasting), ("line", Correlation)]
)
def test_a_loss_that_does_not_broadcast_is_taken(make_run, tmp_path, data, loss):
    command = [f"data._target_={__name__}.{data}", f"model._target_={__name__}.Line", "budget.steps=3"]
    run = make_run(*command, f"loss._target_={__name__}.{loss.__name__}")
    assert run.train(tmp_path / "run").status == "completed"


@pytest.mark.parametrize(("command", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_measured_is_refused_before_training(make_run, command, message):
    with pytest.raises(UserError, match=message) as caught:
        make_run(*command)
    assert "\n" not in str(caught.value)


class Tokens(Dataset):
    """Sequences of 5 tokens out of 5."""

    num_classes = 5

    def __len__(self):
        return 20

    def __getitem__(self, i):
        tokens = (torch.arange(5) + i) % 5
        return tokens, tokens


class TokenNet(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.net = nn.Embedding(n_out, n_out)

    def forward(self, x):
        return self.net(x)


class FlatLoss:
    task = "classification"

    def __call__(self, output, target):
        return F.cross_entropy(output.flatten(0, 1), target.flatten())


class Truths(Dataset):
    num_classes = 2

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.full((3,), float(i)), i % 2 == 0


class MultiHot(Dataset):
    """Five labels a sample, whole numbers or truths."""

    def __init__(self, dtype="int64"):
        self.y = (torch.rand(60, 5, generator=torch.Generator().manual_seed(0)) > 0.5).to(getattr(torch, dtype))

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return torch.ones(8), self.y[i]


class Images(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.full((1, 4, 4), float(i)), torch.full((1, 4, 4), float(i))


class Spent(pl.LightningDataModule):
    """Its validation data is there for `passes` passes."""

    num_classes, batch_size = 2, 8

    def __init__(self, passes):
        super().__init__()
        self.passes = passes

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(32, 3), torch.arange(32) % 2), self.batch_size)

    def val_dataloader(self):
        return self

    def __iter__(self):
        self.passes -= 1
        return iter([(torch.randn(4, 3), torch.arange(4) % 2)] if self.passes >= 0 else [])


@pytest.mark.parametrize("passes", [1, 2])
def test_no_run_completes_on_validation_data_that_is_spent(make_run, tmp_path, passes):
    run = make_run(f"data._target_={__name__}.Spent", f"+data.passes={passes}", "batch_size=8", "budget.steps=8")
    outcome = run.train(tmp_path)
    assert outcome.status == "failed"
    assert "no batch to measure" in outcome.error["message"] or "without a validation" in outcome.error["message"]


def multilabel(task=None):
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(
        torch.randn(60, 4, generator=generator), (torch.rand(60, 5, generator=generator) > 0.5).float()
    )
    if task is not None:
        vars(data)["task"] = task
    return data


def soft_targets():
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(60, 4, generator=generator), torch.rand(60, 5, generator=generator))


def test_regression_on_0_and_1_can_be_asked_for(make_run):
    run = make_run(f"data._target_={__name__}.multilabel", "+data.task=regression", "loss=mse")
    assert (run.parts.task, run.metric) == ("regression", "val/rmse")


def test_regression_on_0_and_1_of_an_array_can_be_asked_for(make_run, tmp_path):
    path = tmp_path / "binary.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.normal(size=(60, 3)), y=(rng.random(60) > 0.5).astype(np.float32))
    command = ("data=array", f"data.path='{path}'", "loss=mse")
    with pytest.raises(UserError, match=r"y holds only 0 and 1 in .*data\.task=regression"):
        make_run(*command)
    assert make_run(*command, "data.task=regression").metric == "val/rmse"
    assert make_run(*command, "data.task=classification").metric == "val/accuracy"


def unlabelled():
    x = np.random.default_rng(0).normal(size=(60, 3))
    return array(x=x, y=np.array([0, 1, 255])[np.arange(60) % 3])


def two_scales():
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(200, 6, generator=generator), torch.randn(6, 2, generator=generator)
    return array(x=x.numpy(), y=((x @ w) * torch.tensor([1.0, 1000.0]) + torch.tensor([0.0, 5e4])).numpy())


def test_columns_of_different_scale_are_learned_and_measured_alike(make_run, tmp_path):
    command = (
        f"data._target_={__name__}.two_scales",
        "loss=mse",
        "model=linear",
        "optimizer=adam",
        "optimizer.lr=0.05",
    )
    run = make_run(*command, "budget.epochs=30", "batch_size=32", "metric=val/rmse/0")
    outcome = run.train(tmp_path)
    x, y = run.parts.data.arrays.val
    mean, std = (np.array(s) for s in (run.parts.spec.target_mean, run.parts.spec.target_std))
    with torch.no_grad():
        predicted = run.parts.net.eval()(x).double().numpy() * std + mean
    target = y.double().numpy() * std + mean
    final = {name: entry["final"] for name, entry in outcome.metrics.items()}
    each = np.sqrt(mean_squared_error(target, predicted, multioutput="raw_values"))
    assert [final["val/rmse/0"], final["val/rmse/1"]] == pytest.approx(each, rel=1e-4)
    assert final["val/rmse"] == pytest.approx(np.sqrt(mean_squared_error(target, predicted)), rel=1e-4)
    scores = r2_score(target, predicted, multioutput="raw_values")
    assert [final["val/r2/0"], final["val/r2/1"]] == pytest.approx(scores, abs=1e-5)
    assert min(scores) > 0.9  # one scale for both would leave the first at 0
    assert outcome.metrics["val/rmse/0"]["best"] <= final["val/rmse/0"]
    assert "best" in outcome.metrics["val/r2/1"]

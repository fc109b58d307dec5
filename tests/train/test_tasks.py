"""Tokens, several labels, images, outputs that hold logits: a run's numbers are those of scikit-learn or NumPy."""

import dataclasses
import itertools
from collections import namedtuple

import lightning.pytorch as pl
import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from bakeoff.errors import UserError

from .test_resume import curves, in_pieces

CLASSES, LENGTH = 6, 9
HERE = f"_target_={__name__}"
QUICK = ("optimizer=adam", "optimizer.lr=0.03", "budget.steps=12", "batch_size=16")


class Tokens(Dataset):
    """60 sequences in which a token mostly follows the one before; the first of each is not to be counted."""

    num_classes = CLASSES

    def __init__(self, ignore=None):
        generator = torch.Generator().manual_seed(0)
        start = torch.randint(0, CLASSES, (60, 1), generator=generator)
        jumps = torch.randint(0, 2, (60, LENGTH), generator=generator).cumsum(1)
        self.x = (start + jumps) % CLASSES
        self.y = self.x.roll(-1, 1)
        if ignore is not None:
            self.y[:, -1] = ignore

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Language(nn.Module):
    """(N, T) -> (N, T, C), or (N, C, T)."""

    def __init__(self, n_out, axis=-1):
        super().__init__()
        self.net = nn.Sequential(nn.Embedding(n_out, 8), nn.Linear(8, n_out))
        self.axis = axis

    def forward(self, x):
        return self.net(x).movedim(-1, self.axis)


class OverTokens:
    """As people write it."""

    task = "classification"

    def __call__(self, output, target):
        return F.cross_entropy(output.flatten(0, 1), target.flatten())


Named = namedtuple("Named", "logits hidden")


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


class Wrapped(nn.Module):
    def __init__(self, n_in, n_out, kind="dict"):
        super().__init__()
        self.net, self.kind = nn.Sequential(nn.Flatten(), nn.Linear(n_in, n_out)), kind

    def forward(self, x):
        logits = self.net(x)
        kinds = {
            "plain": lambda: logits,
            "dict": lambda: {"hidden": x, "logits": logits},
            "dataclass": lambda: Output(logits, x),
            "named": lambda: Named(logits, x),
            "tuple": lambda: (logits, x),
        }
        return kinds[self.kind]()


class OfLogits(nn.Module):
    """Takes what the net gives."""

    def forward(self, output, target):
        return F.cross_entropy(output.logits, target)


class OfTensor(nn.Module):
    """Takes a tensor alone."""

    def forward(self, output, target):
        return F.cross_entropy(output, target)


def multilabel():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(150, 8, generator=generator)
    return TensorDataset(x, (x @ torch.randn(8, 5, generator=generator) > 0.3).float())


def one_logit():
    """Two classes, one logit: targets (N,)."""
    x = torch.randn(150, 8, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(x, (x.sum(1) > 0).float())
    vars(data)["task"] = "multilabel"
    return data


class Flat(nn.Linear):
    def __init__(self):
        super().__init__(8, 1)

    def forward(self, x):
        return super().forward(x)[:, 0]


def images():
    x = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    x[:, :, 0] = 0.25  # a border that never varies
    return TensorDataset(x, x)


class Autoencoder(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))


TOKENS = (f"data.{HERE}.Tokens", f"model.{HERE}.Language", *QUICK)
MULTILABEL = (f"data.{HERE}.multilabel", "loss=bce", *QUICK)
IMAGES = (f"data.{HERE}.images", f"model.{HERE}.Autoencoder", "loss._target_=torch.nn.MSELoss", *QUICK)


def predicted(run, part="val"):
    """What the trained net gives for all of a part, and the targets."""
    batches = list(getattr(run.parts.data, f"{part}_dataloader")())
    with torch.no_grad():
        outputs = [run.parts.reads.prediction(run.parts.net.eval()(x)) for x, _ in batches]
    return torch.cat(outputs), torch.cat([y for _, y in batches])


def finals(outcome, part="val"):
    assert outcome.status == "completed", outcome.error
    return {name.removeprefix(f"{part}/"): one["final"] for name, one in outcome.metrics.items() if part in name}


@pytest.mark.parametrize(
    "command",
    {
        "classes last, a user's loss": (f"loss.{HERE}.OverTokens",),
        "classes last, our loss": ("loss=cross_entropy",),
        "classes last, torch's loss": ("loss._target_=torch.nn.CrossEntropyLoss",),
        "classes at axis 1": ("+model.axis=1", "loss=cross_entropy"),
        "a token that is ignored": ("+data.ignore=-100", "loss._target_=torch.nn.CrossEntropyLoss"),
    }.items(),
    ids=lambda item: item[0],
)
def test_tokens(make_run, tmp_path, command):
    run = make_run(*TOKENS, *command[1], "metrics=[balanced_accuracy,f1,perplexity,bits_per_character,iou]")
    found = finals(run.train(tmp_path))
    output, target = predicted(run)
    assert output.shape[1] == CLASSES
    keep = target.flatten().numpy() != -100
    logits, labels = output.movedim(1, -1).flatten(0, 1).double().numpy()[keep], target.flatten().numpy()[keep]
    chosen, p = logits.argmax(1), np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    nll = sklearn.metrics.log_loss(labels, p, labels=range(CLASSES))
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, chosen))
    assert [found["nll"], found["loss"]] == pytest.approx([nll, nll], rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(nll), rel=1e-5)
    assert found["bits_per_character"] == pytest.approx(nll / np.log(2), rel=1e-5)
    assert found["balanced_accuracy"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(labels, chosen))
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(labels, chosen, average="macro"), rel=1e-5)
    assert found["iou"] == pytest.approx(sklearn.metrics.jaccard_score(labels, chosen, average="macro"), rel=1e-5)


class Unlabelled(Tokens):
    """Half of the sequences have no labels: batches of 2 may have none."""

    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return x, torch.full_like(y, -100) if i % 2 else y


def test_a_batch_without_labels_changes_no_weight_and_ends_no_run(make_run, tmp_path):
    settings = ("loss._target_=torch.nn.CrossEntropyLoss", "batch_size=2", "optimizer=sgd", "budget.steps=15")
    command = (*TOKENS, f"data.{HERE}.Unlabelled", *settings)
    run, plain = make_run(*command), make_run(*command)
    outcome = run.train(tmp_path)
    assert outcome.status == "completed", outcome.error
    net, empty = plain.parts.net, 0
    optimizer = torch.optim.SGD(net.parameters(), lr=run.settings.optimizer["lr"])
    for _, (x, y) in zip(range(15), plain.parts.data.train_dataloader(), strict=False):
        optimizer.zero_grad()
        F.cross_entropy(net(x).movedim(-1, 1), y).backward()
        empty += not (y != -100).any()
        optimizer.step()
    assert empty
    for ours, theirs in zip(run.parts.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_losses_of_tokens_train_alike(make_run, tmp_path):
    """Mean over tokens, whoever takes the classes where."""
    found = [
        finals(make_run(*TOKENS, loss).train(tmp_path / str(i)))["loss"]
        for i, loss in enumerate(
            (f"loss.{HERE}.OverTokens", "loss=cross_entropy", "loss._target_=torch.nn.CrossEntropyLoss")
        )
    ]
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


def test_several_labels(make_run, tmp_path):
    run = make_run(*MULTILABEL, "metrics=[f1,auroc,average_precision,iou]")
    assert run.run.notes == ("task: 5 labels, each there or not (multilabel), predictions (N, 5), targets (N, 5)",)
    found = finals(run.train(tmp_path), "test")
    output, target = predicted(run, "test")
    p, labels = output.double().sigmoid().numpy(), target.numpy().astype(int)
    chosen = p > 0.5
    assert found["accuracy"] == pytest.approx((chosen == labels).mean())
    assert found["exact_match"] == pytest.approx(sklearn.metrics.accuracy_score(labels, chosen))
    nll = np.mean([sklearn.metrics.log_loss(labels[:, i], p[:, i], labels=[0, 1]) for i in range(5)])
    assert found["nll"] == pytest.approx(nll, rel=1e-5)
    assert found["loss"] == pytest.approx(nll, rel=1e-5)
    for name, reference in {
        "f1": sklearn.metrics.f1_score(labels, chosen, average="macro"),
        "auroc": sklearn.metrics.roc_auc_score(labels, p, average="macro"),
        "average_precision": sklearn.metrics.average_precision_score(labels, p, average="macro"),
        "iou": sklearn.metrics.jaccard_score(labels, chosen, average="macro"),
    }.items():
        assert found[name] == pytest.approx(reference, rel=1e-5), name


@pytest.mark.parametrize("model", ["linear", "Flat"])
def test_two_classes_by_one_logit(make_run, tmp_path, model):
    """(N, 1) or (N,) against (N,)."""
    net = f"model={model}" if model == "linear" else f"model.{HERE}.{model}"
    run = make_run(f"data.{HERE}.one_logit", net, "loss=bce", *QUICK)
    found = finals(run.train(tmp_path))
    output, target = predicted(run)
    assert found["accuracy"] == pytest.approx(((output.flatten() > 0) == target.flatten().bool()).float().mean().item())
    assert found["accuracy"] > 0.6
    assert found["nll"] == pytest.approx(F.binary_cross_entropy_with_logits(output.flatten(), target.flatten()).item())


def test_the_target_is_the_input(make_run, tmp_path):
    run = make_run(*IMAGES)
    found = finals(run.train(tmp_path))
    output, target = (tensor.double().flatten(1).numpy() for tensor in predicted(run))
    assert found["rmse"] == pytest.approx(np.sqrt(((output - target) ** 2).mean()), rel=1e-5)
    assert found["mae"] == pytest.approx(np.abs(output - target).mean(), rel=1e-5)
    unexplained = ((output - target) ** 2).sum() / ((target - target.mean()) ** 2).sum()  # there is one channel
    assert found["r2"] == pytest.approx(1 - unexplained, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        *itertools.product(["dict", "dataclass", "named", "tuple"], ["loss=cross_entropy", f"loss.{HERE}.OfTensor"]),
        *itertools.product(["dataclass", "named"], [f"loss.{HERE}.OfLogits"]),
    ],
)
def test_outputs_that_hold_logits(make_run, tmp_path, kind, loss):
    command = (f"model.{HERE}.Wrapped", *QUICK, "trainer.sample_every_n_steps=1")
    plain = make_run(*command, "+model.kind=plain", "loss=cross_entropy").train(tmp_path / "plain")
    wrapped = make_run(*command, f"+model.kind={kind}", loss).train(tmp_path / "wrapped")
    assert finals(wrapped) == pytest.approx(finals(plain), rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("dict", "which are the logits of the model's dict"), ("tuple", "which are the first of the model's tuple")],
)
def test_where_the_predictions_are_is_said(make_run, kind, said):
    assert said in make_run(f"model.{HERE}.Wrapped", f"+model.kind={kind}").run.notes[0]


class Sentences(Dataset):
    """As tokenizers give them: half of the tokens are padding. The label is the first token."""

    num_classes = CLASSES

    def __init__(self, shift=0):
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(0, CLASSES, (60, LENGTH), generator=generator)
        self.mask = (torch.arange(LENGTH) < torch.randint(1, LENGTH, (60, 1), generator=generator)).float()
        self.shift = shift

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "attention_mask": self.mask[i], "labels": self.ids[i, 0] + self.shift}


class Batches(pl.LightningDataModule):
    """The same, by loaders of one's own."""

    num_classes, batch_size = CLASSES, 16

    def train_dataloader(self):
        return DataLoader(Subset(Sentences(), range(36)), batch_size=self.batch_size)

    def val_dataloader(self):
        return DataLoader(Subset(Sentences(), range(36, 48)), batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(Subset(Sentences(), range(48, 60)), batch_size=self.batch_size)


class Classifier(nn.Module):
    """As those of Hugging Face: called by names, gives an object with logits."""

    def __init__(self, n_out):
        super().__init__()
        self.embedding, self.head = nn.Embedding(CLASSES, 8), nn.Linear(8, n_out)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        assert labels is None
        hidden = self.embedding(input_ids) * attention_mask[:, :, None]
        return Output(self.head(hidden.mean(1)), hidden)


SENTENCES = (f"data.{HERE}.Sentences", f"model.{HERE}.Classifier", *QUICK)


@pytest.mark.parametrize("data", ["Sentences", "Batches"])
def test_batches_that_are_dictionaries(make_run, tmp_path, data):
    run = make_run(*SENTENCES, f"data.{HERE}.{data}", "metrics=f1")
    found = finals(run.train(tmp_path))
    net, batches = run.parts.net.eval(), list(run.parts.data.val_dataloader())
    with torch.no_grad():
        logits = torch.cat([net(b["input_ids"], b["attention_mask"]).logits for b in batches])
    labels = torch.cat([b["labels"] for b in batches])
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert found["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


def test_a_label_out_of_range_in_a_dictionary(make_run):
    with pytest.raises(UserError, match=r"has the label \d, but n_out=6|the targets hold the label \d"):
        make_run(*SENTENCES, "+data.shift=4")


def test_a_net_that_does_not_take_the_names_is_refused(make_run):
    with pytest.raises(
        UserError, match=r"model: Language does not take examples with input_ids \(9,\), attention_mask"
    ):
        make_run(*SENTENCES, f"model.{HERE}.Language")


@pytest.mark.parametrize(
    "command",
    {
        "dictionaries": SENTENCES,
        "tokens": (*TOKENS, "metrics=[f1,perplexity]"),
        "labels": (*MULTILABEL, "metrics=[f1]"),
        "images": IMAGES,
        "a tuple": (f"model.{HERE}.Wrapped", "+model.kind=tuple", f"loss.{HERE}.OfTensor", *QUICK),
    }.items(),
    ids=lambda item: item[0],
)
def test_resumes_to_the_bit(make_run, tmp_path, command):
    whole = make_run(*command[1]).train(tmp_path / "whole")
    pieces, attempts = in_pieces(make_run, tmp_path / "pieces", command[1], 5)
    assert attempts == 3
    assert pieces.status == whole.status == "completed"
    assert pieces.metrics == whole.metrics
    assert curves(tmp_path / "pieces") == curves(tmp_path / "whole")


class Lines(pl.LightningDataModule):
    """Targets (N, 2, L), of another length in each batch."""

    batch_size = 8

    def _batches(self):
        generator = torch.Generator().manual_seed(0)
        made = [
            torch.randn(8, 2, length, generator=generator) * torch.tensor([[1.0], [5.0]]) for length in (5, 5, 9, 3)
        ]
        return [(x, 2 * x + 1) for x in made]

    def train_dataloader(self):
        return DataLoader(self._batches(), batch_size=None)

    val_dataloader = train_dataloader


class Scales(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.scale


def test_targets_of_several_lengths(make_run, tmp_path):
    command = (f"data.{HERE}.Lines", f"model.{HERE}.Scales", "loss._target_=torch.nn.MSELoss")
    found = finals(make_run(*command, "batch_size=8", "budget.steps=8").train(tmp_path / "run"))
    run = make_run(*command, "batch_size=8", "budget.steps=8")
    run.train(tmp_path / "again")
    with torch.no_grad():
        pairs = [(run.parts.net(x), y) for x, y in Lines()._batches()]
    output, target = (
        torch.cat([one.movedim(1, -1).flatten(0, 1) for one in part]).double() for part in zip(*pairs, strict=True)
    )
    unexplained = ((output - target) ** 2).sum() / ((target - target.mean(0)) ** 2).sum()
    assert found["r2"] == pytest.approx(1 - unexplained.item(), rel=1e-5)


def test_a_metric_of_whole_sequences_leaves_ignored_labels_out_itself(make_run, tmp_path):
    command = ("+data.ignore=-100", "loss._target_=torch.nn.CrossEntropyLoss", "budget.steps=60")
    exact = "metrics.exact._target_=torchmetrics.classification.MulticlassExactMatch"
    run = make_run(*TOKENS, *command, exact)
    found = finals(run.train(tmp_path))
    output, target = predicted(run)
    reference = torchmetrics.classification.MulticlassExactMatch(CLASSES, ignore_index=-100)
    assert found["exact"] == pytest.approx(reference(output, target).item())


class Counted(torchmetrics.Metric):
    """A user's own: how many labels are even."""

    higher_is_better = None

    def __init__(self):
        super().__init__()
        self.add_state("n", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, output, target):
        self.n += (target % 2 == 0).sum()

    def compute(self):
        return self.n


def test_a_metric_of_ones_own(make_run, tmp_path):
    command = (f"metrics.even.{HERE}.Counted", "metric=val/even", *QUICK)
    with pytest.raises(UserError, match="it is not known whether val/even is better small or large"):
        make_run(*command)
    run = make_run(*command, "metric_direction=max")
    outcome = run.train(tmp_path)
    _, target = predicted(run)
    assert outcome.metrics["val/even"]["final"] == (target % 2 == 0).sum()
    assert outcome.metric_direction == "max"


def test_a_metric_of_torchmetrics_ranks_by_its_own_direction(make_run, tmp_path):
    outcome = make_run("metrics=f1", "metric=val/f1", *QUICK).train(tmp_path)
    assert (outcome.metric, outcome.metric_direction) == ("val/f1", "max")
    assert outcome.metrics["val/f1"]["best"] >= outcome.metrics["val/f1"]["final"]
    assert "best" not in outcome.metrics["test/f1"]


def test_regression_metrics_are_in_the_targets_own_units(make_run, tmp_path):
    run = make_run(
        "data=diabetes", "loss=mse", "metrics.error._target_=torchmetrics.MeanAbsolutePercentageError", *QUICK
    )
    found = finals(run.train(tmp_path))
    spec = run.parts.spec
    output, target = (t.double()[:, 0].numpy() * spec.target_std + spec.target_mean for t in predicted(run))
    reference = sklearn.metrics.mean_absolute_percentage_error(target, output)
    assert found["error"] == pytest.approx(reference, rel=1e-5)


class Timid(nn.Linear):
    """Its logits are about 0.5."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        nn.init.normal_(self.weight, std=1e-3)
        nn.init.constant_(self.bias, 0.5)

    def forward(self, x):
        return super().forward(x.flatten(1))


def test_logits_within_0_and_1_are_no_probabilities(make_run, tmp_path):
    """torchmetrics would take them for that."""
    run = make_run(f"model.{HERE}.Timid", "metrics=auroc", *QUICK, "optimizer.lr=1e-6")
    found = finals(run.train(tmp_path))
    output, target = predicted(run)
    assert 0 < output.min() < output.max() < 1
    p = output.double().softmax(1).numpy()
    reference = sklearn.metrics.roc_auc_score(target.numpy(), p, multi_class="ovr", average="macro")
    assert found["auroc"] == pytest.approx(reference, abs=1e-4)  # ties of float32


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("metrics.f1.average=macro",), "metrics.f1: no class is named; give metrics.f1._target_=torchmetrics.F1Score"),
        (
            ("metrics.accuracy._target_=torchmetrics.Accuracy",),
            "metrics.accuracy: give it another name; accuracy is one of",
        ),
        (
            ("metrics.f1._target_=torch.nn.Linear", "metrics.f1.in_features=1", "metrics.f1.out_features=1"),
            "gave a Linear, not",
        ),
        (("metrics=[f1]", "metrics.f1.average=none"), "metrics.f1 gives 10 numbers; it must give one: average them"),
        (("metrics=[f1]", "metrics.f1.averag=macro"), "metrics.f1: "),
        (("metrics.r._target_=torchmetrics.PearsonCorrCoef",), r"metrics.r does not take predictions \(\d+, 10\)"),
        (("metrics=[perplexity]", "data=diabetes", "loss=mse"), "metrics.perplexity does not take predictions"),
        (("metrics=[f1]", "metric=val/f2"), "unknown metric val/f2 .did you mean val/f1"),
        (("metrics=[f1]", "metric=test/f1"), "test data chooses nothing"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_before_training(make_run, command, message):
    with pytest.raises(UserError, match=message) as caught:
        make_run(*command)
    assert "\n" not in str(caught.value)


class Detached(nn.Linear):
    """Nothing reaches its weights."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)

    def forward(self, x):
        return super().forward(x.flatten(1)).detach()


class FailsIn(nn.Module):
    """Does not take batches that are validated on."""

    task = "classification"

    def forward(self, output, target):
        if not torch.is_grad_enabled():
            raise ArithmeticError("not in a validation")
        return F.cross_entropy(output, target)


def test_a_net_without_a_gradient_is_refused_before_training(make_run):
    with pytest.raises(UserError, match="on a batch of training data: element 0 of tensors does not require grad"):
        make_run(f"model.{HERE}.Detached")


def test_a_loss_that_fails_in_validation_is_refused_before_training(make_run):
    with pytest.raises(UserError, match="on a batch of validation data: not in a validation"):
        make_run(f"loss.{HERE}.FailsIn")


class Draws(nn.Linear):
    """Draws in each pass, and counts them in a buffer."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return super().forward(x.flatten(1)) + torch.randn(())


def test_trying_changes_nothing(make_run):
    torch.manual_seed(5)
    run = make_run(f"model.{HERE}.Draws")
    assert run.parts.net.passes <= 1  # of the example, by which lazy layers get their sizes
    assert all(parameter.grad is None for parameter in run.parts.net.parameters())


def over_normed():
    """A plain function whose closure holds a BatchNorm, as nobody registers it."""
    norm = nn.BatchNorm1d(10)

    def loss(output, target):
        return F.cross_entropy(norm(output), target)

    return loss


def test_trying_leaves_what_a_function_holds_alone(make_run, tmp_path):
    run = make_run(f"loss.{HERE}.over_normed", *QUICK)
    norm = run.parts.loss.held_norm
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_mean, torch.zeros(10))
    assert run.train(tmp_path).status == "completed"
    assert norm.num_batches_tracked == 12  # one a step: it is in the mode `eval` in validations

"""LightningModules as people write them join a sweep: they are trained as by `Trainer.fit`, measured, and resumed."""

import copy
import os
from typing import Any

import lightning as L
import matplotlib
import pytest
import torch
import torchmetrics
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.errors import UserError
from bakeoff.module import named_parameters
from bakeoff.report.curves import read_curves
from bakeoff.train.lightning_checkpoint import IN_MEMORY

from .stops import StopsAfter

matplotlib.use("Agg")
HERE = __name__
STEPS = 24  # two epochs


class Blobs(L.LightningDataModule):
    """Three classes; the order of the training data is that of the global random numbers."""

    num_classes = 3

    def __init__(self, batch_size=16):
        super().__init__()
        self.batch_size = batch_size
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(300) % 3
        x = torch.randn(300, 6, generator=generator) + 1.5 * F.one_hot(y, 6).float()
        self.parts = {"train": (x[:190], y[:190]), "val": (x[190:250], y[190:250]), "test": (x[250:], y[250:])}

    def _loader(self, part, **options):
        return DataLoader(TensorDataset(*self.parts[part]), self.batch_size, **options)

    def train_dataloader(self):
        return self._loader("train", shuffle=True)

    def val_dataloader(self):
        return self._loader("val")

    def test_dataloader(self):
        return self._loader("test")


class LitNet(L.LightningModule):
    """As in Lightning's own introduction: hyperparameters saved, a scheduler an epoch, an own name for everything."""

    def __init__(self, hidden=32, lr=1e-2, optimizer="adam"):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 3))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        output = self(x)
        self.log("val_loss", F.cross_entropy(output, y))
        self.log("val_acc", (output.argmax(1) == y).float().mean(), prog_bar=True)

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.log("test_acc", (self(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        chosen: Any = self.hparams
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[chosen.optimizer]
        optimizer = kind(self.parameters(), lr=chosen.lr)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)}


class TwoOptimizers(L.LightningModule):
    """Manual optimization: body and head have an optimizer each, and both make a step with every batch."""

    def __init__(self, lr=0.05):
        super().__init__()
        self.lr, self.automatic_optimization = lr, False
        self.body, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", F.cross_entropy(self(x), y))

    def configure_optimizers(self):
        body = torch.optim.SGD(self.body.parameters(), lr=self.lr, momentum=0.9)
        return [body, torch.optim.Adam(self.head.parameters(), lr=self.lr)]


class WithTorchmetrics(L.LightningModule):
    """Metrics as attributes, logged as objects; the net, the loss and the optimizer are chosen outside."""

    def __init__(self, net, loss, optimizer, n_out):
        super().__init__()
        self.net, self.loss, self.optimizer = net, loss, optimizer
        metrics: Any = {"f1": torchmetrics.F1Score("multiclass", num_classes=n_out, average="macro")}
        self.val_metrics = torchmetrics.MetricCollection(metrics, prefix="val_")
        self.val_nll = torchmetrics.MeanMetric()

    def training_step(self, batch, batch_idx):
        x, y = batch
        return self.loss(self.net(x), y).mean()

    def validation_step(self, batch, batch_idx):
        x, y = batch
        output = self.net(x)
        self.val_metrics.update(output, y)
        self.log_dict(self.val_metrics, on_epoch=True)
        self.val_nll.update(F.cross_entropy(output, y, reduction="none"))
        self.log("val_nll", self.val_nll)

    def on_validation_epoch_end(self):
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([0, 1])
        logger: Any = self.logger
        writer = logger.experiment
        writer.add_figure("shape", figure, self.global_step)
        writer.add_text("note", "<b>seen</b>", self.global_step)
        writer.add_scalar("mine/scalar", 0.5, self.global_step)
        plt.close(figure)

    def configure_optimizers(self):
        return self.optimizer(self.parameters())


class DictBlobs(Blobs):
    """Batches as those of Hugging Face."""

    def _loader(self, part, **options):
        x, y = self.parts[part]
        samples: Any = [{"inputs": one, "labels": label} for one, label in zip(x, y, strict=True)]
        return DataLoader(samples, self.batch_size, **options)


class DictDataset(Dataset):
    def __init__(self):
        self.x, self.y = Blobs().parts["train"]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"inputs": self.x[i], "labels": self.y[i]}


class OfDicts(LitNet):
    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self(batch["inputs"]), batch["labels"])

    def validation_step(self, batch, batch_idx):
        self.log("val_nll", F.cross_entropy(self(batch["inputs"]), batch["labels"]))

    test_step = L.LightningModule.test_step


DATA = f"data._target_={HERE}.Blobs"
BUDGET = ("batch_size=16", f"budget.steps={STEPS}", "budget.validations=2")
MODULES = {
    "hyperparameters and a scheduler": (
        f"module._target_={HERE}.LitNet", "module.lr=0.02", "metric=val_acc", "metric_direction=max",
    ),
    "two optimizers by hand": (
        f"module._target_={HERE}.TwoOptimizers", "metric=val_loss", "metric_direction=min",
    ),
    "torchmetrics": (
        f"module._target_={HERE}.WithTorchmetrics", "model._target_=torch.nn.Linear", "+model.in_features=6",
        "+model.out_features=3", "optimizer=adam", "optimizer.lr=0.02", "metric=val_f1",
    ),
}  # fmt: skip
OWN = pytest.mark.parametrize("command", MODULES.values(), ids=MODULES)


def command_of(*overrides):
    return (DATA, *BUDGET, *overrides)


def alone(run, folder):
    """Trains a copy of the module of a run by Lightning alone, as often and on the same batches."""
    module = copy.deepcopy(run.parts.module)
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=CSVLogger(folder), enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=10,
    )  # fmt: skip
    if isinstance(module, WithTorchmetrics):
        module.on_validation_epoch_end = lambda: None  # type: ignore[method-assign]  # CSV has no figures
    L.seed_everything(run.settings.seed, workers=True, verbose=False)
    trainer.fit(module, datamodule=Blobs())
    return module, {name: value.item() for name, value in trainer.callback_metrics.items()}


@OWN
def test_a_module_is_trained_as_by_lightning_alone(make_run, tmp_path, command):
    run = make_run(*command_of(*command))
    module, metrics = alone(run, tmp_path / "alone")
    outcome = run.train(tmp_path / "run")
    assert outcome.status == "completed", outcome.error
    assert (outcome.steps, outcome.samples, outcome.epochs) == (STEPS, 380, 2.0)
    for name, weight in module.state_dict().items():
        assert torch.equal(run.parts.module.state_dict()[name], weight)
    validated = {name: value for name, value in metrics.items() if name.startswith("val_")}
    for name, value in validated.items():
        assert outcome.metrics[name]["final"] == pytest.approx(value, rel=1e-6)
    assert outcome.metrics[outcome.metric]["best_step"] in (12, 24)
    assert {name for name, split in outcome.splits.items() if split == "val"} == validated.keys()


def test_curves_and_test_metrics_of_a_module(make_run, tmp_path):
    outcome = make_run(*command_of(*MODULES["hyperparameters and a scheduler"])).train(tmp_path)
    curves = read_curves(tmp_path)
    assert curves["val_acc"].steps.tolist() == [12, 24]
    assert curves["train_loss"].steps.tolist() == [10, 20]
    assert 0.5 < outcome.metrics["test_acc"]["final"] <= 1
    assert "best" not in outcome.metrics["test_acc"]
    assert outcome.splits == {"train_loss": "train", "val_loss": "val", "val_acc": "val", "test_acc": "test"}


@OWN
@pytest.mark.parametrize("pieces", [5])
def test_a_module_in_pieces_is_the_module_at_once(make_run, tmp_path, command, pieces):
    command = command_of(*command, "checkpoint_every=0.000001")
    whole = make_run(*command)
    outcome = whole.train(tmp_path / "whole")
    attempts, again = 0, None
    while again is None or again.status == "interrupted":
        attempts += 1
        run = make_run(*command)
        again = run.train(tmp_path / "pieces", stop=StopsAfter(pieces))
    assert attempts == -(-STEPS // pieces)
    assert (again.status, again.metrics, again.steps, again.samples) == (
        "completed", outcome.metrics, outcome.steps, outcome.samples,
    )  # fmt: skip
    for name, weight in whole.parts.module.state_dict().items():
        assert torch.equal(run.parts.module.state_dict()[name], weight)


def test_what_a_module_draws_lands_in_the_one_event_file(make_run, tmp_path):
    make_run(*command_of(*MODULES["torchmetrics"])).train(tmp_path)
    files = list(tmp_path.glob("**/events.out.tfevents.*"))
    assert len(files) == 1
    events = EventAccumulator(str(files[0]), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    assert [event.step for event in events.Images("shape")] == [12, 24]
    assert [event.step for event in events.Scalars("mine/scalar")] == [12, 24]
    assert [event.step for event in events.Tensors("note/text_summary")] == [12, 24]


def test_the_checkpoint_of_a_module_is_lightnings(make_run, tmp_path):
    run = make_run(*command_of(*MODULES["hyperparameters and a scheduler"], "module.hidden=8"))
    run.train(tmp_path)
    module: Any = LitNet.load_from_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert module.hparams.hidden == 8
    assert torch.equal(module.net[0].weight, run.parts.module.net[0].weight)
    assert IN_MEMORY not in str(list(tmp_path.rglob("*")))


def test_trying_a_module_changes_nothing(make_run):
    torch.manual_seed(7)
    expected = torch.rand(3)
    run = make_run(*command_of(*MODULES["torchmetrics"]))
    again = make_run(*command_of(*MODULES["torchmetrics"]))
    for name, weight in run.parts.module.state_dict().items():
        assert torch.equal(again.parts.module.state_dict()[name], weight)
    assert run.parts.module.val_nll.update_count == 0
    assert run.parts.logged == {"val_f1": "max", "val_nll": None}
    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), expected)


def test_a_module_passes_names_to_optimizers_that_ask_for_them(make_run, tmp_path):
    command = (
        f"data._target_={HERE}.Blobs",
        f"module._target_={HERE}.NamesItsParameters",
        "optimizer=muon",
        "batch_size=16",
    )
    run = make_run(*command, "metric=val_acc", "metric_direction=max", "budget.steps=5")
    assert run.train(tmp_path).status == "completed"
    assert [group["name"] for group in run.parts.module.trainer.optimizers[0].param_groups] == ["muon", "adamw"]


def test_which_arguments_are_filled_in_is_said(make_run):
    run = make_run(*command_of(*MODULES["torchmetrics"]))
    assert run.notes == ("module: WithTorchmetrics is given net, loss, optimizer, n_out",)
    assert make_run(*command_of(*MODULES["hyperparameters and a scheduler"])).notes == ()


def test_the_identity_is_that_of_what_decides(make_run):
    first = make_run(*command_of(*MODULES["hyperparameters and a scheduler"]))
    other = make_run(*command_of(*MODULES["hyperparameters and a scheduler"], "module.hidden=8"))
    supervised = make_run(DATA, *BUDGET, "metric=val/loss")
    assert len({first.identity, other.identity, supervised.identity}) == 3
    assert "optimizer" not in first.hyperparameters
    assert first.hyperparameters["module"] == "LitNet"
    assert first.hyperparameters["module.lr"] == 0.02


@pytest.mark.parametrize(("data", "samples"), [("DictBlobs", 380), ("DictDataset", 16 * 7 + 2 + 16 * 7 + 2)])
def test_batches_that_are_dictionaries(make_run, tmp_path, data, samples):
    command = [f"data._target_={HERE}.{data}", f"module._target_={HERE}.OfDicts", "metric=val_nll"]
    run = make_run(*command, "metric_direction=min", "batch_size=16", "budget.epochs=2")
    outcome = run.train(tmp_path)
    assert (outcome.status, outcome.samples) == ("completed", samples)
    module = run.parts.module.eval()
    batches = [(b["inputs"], b["labels"]) for b in run.parts.data.val_dataloader()]
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert outcome.metrics["val_nll"]["final"] == pytest.approx(F.cross_entropy(module(x), y).item(), rel=1e-5)


class ExplodesByHand(TwoOptimizers):
    def on_train_batch_end(self, outputs, batch, batch_idx):
        if self.trainer.current_epoch == 0 and batch_idx == 3:
            torch.nn.init.constant_(self.head.weight, float("inf"))


def test_a_module_that_returns_no_loss_diverges_at_a_validation(make_run, tmp_path):
    command = (f"module._target_={HERE}.ExplodesByHand", "metric=val_loss", "metric_direction=min")
    outcome = make_run(*command_of(*command)).train(tmp_path)
    assert (outcome.status, outcome.steps) == ("diverged", 12)
    assert outcome.metrics["val_loss"]["final"] is None


class SharedStep(LitNet):
    """One step for all, and so one name on all parts of the data."""

    def _step(self, batch):
        x, y = batch
        output = self(x)
        self.log("acc", (output.argmax(1) == y).float().mean())
        return F.cross_entropy(output, y)

    def training_step(self, batch, batch_idx):
        return self._step(batch)

    def validation_step(self, batch, batch_idx):
        self._step(batch)

    test_step = validation_step


def accuracy(module, batches):
    with torch.no_grad():
        right = [(module.eval()(x).argmax(1) == y) for x, y in batches]
    return torch.cat(right).float().mean().item()


def test_one_name_on_all_parts_of_the_data(make_run, tmp_path):
    command = (
        f"module._target_={HERE}.SharedStep",
        "metric=acc",
        "metric_direction=max",
        "trainer.log_every_n_steps=1",
    )
    run = make_run(*command_of(*command))
    outcome = run.train(tmp_path)
    data = Blobs()
    assert outcome.metrics["acc"]["final"] == pytest.approx(accuracy(run.parts.module, data.val_dataloader()))
    assert outcome.metrics["test/acc"]["final"] == pytest.approx(accuracy(run.parts.module, data.test_dataloader()))
    assert outcome.splits == {"acc": "val"}
    curves = read_curves(tmp_path)
    assert curves["acc"].steps.tolist() == [12, 24]
    assert outcome.metrics["acc"]["best"] == max(curves["acc"].values)
    assert curves["train/acc"].steps.tolist() == list(range(1, STEPS + 1))


class EveryKindOfState(LitNet):
    """Means over an epoch, torchmetrics over an epoch and over all, and a number that is annealed."""

    def __init__(self):
        super().__init__()
        self.train_acc = torchmetrics.Accuracy("multiclass", num_classes=3)
        self.best = torchmetrics.MinMetric()
        self.beta = 0.0
        self.seen: list[Any] = [0, {"epochs": 0}]

    def training_step(self, batch, batch_idx):
        x, y = batch
        output = self(x)
        loss = F.cross_entropy(output, y)
        self.beta += 0.05
        self.seen[0] += len(y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_worst", loss, on_step=False, on_epoch=True, reduce_fx="max")
        self.train_acc(output, y)
        self.log("train_acc", self.train_acc, on_step=False, on_epoch=True)
        return loss + self.beta * output.square().mean()

    def on_validation_epoch_end(self):
        self.best.update(self.trainer.callback_metrics["val_loss"])
        self.log("val_best", self.best.compute())

    def on_train_epoch_end(self):
        self.seen[1]["epochs"] += 1
        self.log("train_seen", float(self.seen[0]))


class AccumulatesByHand(TwoOptimizers):
    def training_step(self, batch, batch_idx):
        x, y = batch
        self.manual_backward(F.cross_entropy(self(x), y) / 4)
        if batch_idx % 4 == 3:
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()


@pytest.mark.parametrize(("module", "metric"), [("EveryKindOfState", "val_best"), ("AccumulatesByHand", "val_loss")])
@pytest.mark.parametrize("pieces", [1, 5])
def test_what_a_module_keeps_beside_its_weights_is_resumed(make_run, tmp_path, module, metric, pieces):
    own = (f"module._target_={HERE}.{module}", f"metric={metric}", "metric_direction=min")
    command = command_of(*own, "checkpoint_every=0")
    whole = make_run(*command)
    outcome = whole.train(tmp_path / "whole")
    assert outcome.status == "completed", outcome.error
    again = None
    while again is None or again.status == "interrupted":
        run = make_run(*command)
        again = run.train(tmp_path / "pieces", stop=StopsAfter(pieces))
    assert again.metrics == outcome.metrics
    for name, weight in whole.parts.module.state_dict().items():
        assert torch.equal(run.parts.module.state_dict()[name], weight)
    assert points(tmp_path / "pieces") == points(tmp_path / "whole")


def points(folder):
    curves = {t: c for t, c in read_curves(folder).items() if not t.startswith(("time/", "axis/seconds"))}
    return {tag: (curve.steps.tolist(), curve.values.tolist()) for tag, curve in curves.items()}


class Asks(LitNet):
    """Asks its trainer what it is going to do, and writes where the logger writes."""

    def on_fit_start(self):
        self.trainer.max_epochs // (self.trainer.max_epochs // 2)
        self.trainer.num_training_batches // (self.trainer.num_training_batches // 4)
        logger: Any = self.logger
        assert os.path.isdir(logger.save_dir)
        assert os.path.isdir(logger.log_dir)
        with open(os.path.join(logger.log_dir, "mine.txt"), "w") as file:
            file.write(str(len(self.trainer.train_dataloader.dataset)) if self.trainer.train_dataloader else "")

    def configure_callbacks(self):
        return [ModelCheckpoint(monitor="val_acc")]

    def configure_optimizers(self):
        steps: Any = self.trainer.estimated_stepping_batches
        assert steps == STEPS
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def test_the_try_is_of_the_run(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(*command_of(f"module._target_={HERE}.Asks", *MAX))
    assert list(tmp_path.iterdir()) == []
    assert run.train(tmp_path / "run").status == "completed"
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert (tmp_path / "run" / "mine.txt").exists()


class Plateau(LitNet):
    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


def test_a_schedule_that_reads_a_metric_needs_it_after_each_epoch(make_run, tmp_path):
    command = (DATA, f"module._target_={HERE}.Plateau", *MAX, "batch_size=16", "budget.steps=24")
    for validations in (1, 3):
        with pytest.raises(UserError, match=r"Plateau looks at a metric after each epoch: give budget.validations=2"):
            make_run(*command, f"budget.validations={validations}")
    with pytest.raises(UserError, match=r"Plateau looks at a metric after each epoch; give budget.epochs"):
        make_run(*command, "budget.steps=null", "budget.seconds=1")
    assert make_run(*command, "budget.validations=2").train(tmp_path).status == "completed"


class PerBatch(LitNet):
    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean(), on_step=True, on_epoch=True)
        return torch.tensor([float("nan")])  # where a score is not defined


def test_batches_of_a_validation_are_no_curve(make_run, tmp_path):
    outcome = make_run(*command_of(f"module._target_={HERE}.PerBatch", *MAX)).train(tmp_path)
    assert outcome.status == "completed"
    curves = read_curves(tmp_path)
    assert "val_acc_step" not in curves
    assert curves["val_acc"].steps.tolist() == curves["val_acc_epoch"].steps.tolist() == [12, 24]


class NoValidation(LitNet):
    validation_step = L.LightningModule.validation_step


class FailsInValidation(LitNet):
    def validation_step(self, batch, batch_idx):
        self.net(batch[0][:, :4])


class FailsInTest(LitNet):
    def test_step(self, batch, batch_idx):
        raise KeyError("labels")


class NamesNothing(LitNet):
    def validation_step(self, batch, batch_idx):
        pass


class OfTheWholeBatch(LitNet):
    """Counts on the number of samples."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x).reshape(len(y) // 2, 2, 3).movedim(-1, 1), y.reshape(len(y) // 2, 2))


class NamesItsParameters(LitNet):
    """Calls the optimizer that it is given with names and kinds."""

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer = optimizer

    def configure_optimizers(self):
        return self.optimizer(named_parameters(self))


LIT = f"module._target_={HERE}.LitNet"
MAX = ("metric=val_acc", "metric_direction=max")
REFUSED = {
    "a choice that it does not take": (
        (LIT, "optimizer=adam", *MAX), "^optimizer: the optimizer is LitNet's own: sweep module.hidden=..., module.lr=",
    ),
    "a setting of one": ((LIT, "optimizer.lr=0.1", *MAX), "^optimizer.lr: the optimizer is LitNet's own"),
    "groups of parameters": (
        (LIT, "param_groups=no_decay", *MAX), "^param_groups: LitNet makes its optimizer itself; make the groups in",
    ),
    "an optimizer that asks for names": (
        (f"module._target_={HERE}.WithTorchmetrics", "model._target_=torch.nn.Linear", "+model.in_features=6",
         "+model.out_features=3", "optimizer=muon", "metric=val_f1"),
        r"several optimizers are to be called with bakeoff.module.named_parameters\(net\), which say names and kinds",
    ),
    "an argument that it has not": ((LIT, "module.lrr=0.1", *MAX), "^module: .* unexpected keyword argument 'lrr'"),
    "no metric": (
        (LIT,), "^metric=val/accuracy: LitNet logs on validation val_acc, val_loss; give metric=val_loss and m",
    ),
    "no direction": ((LIT, "metric=val_acc"), "^it is not known whether val_acc is better small or large"),
    "a metric of the test": ((LIT, "metric=test_acc"), "^metric=test_acc: LitNet logs on validation val_acc, val_loss"),
    "nothing logged": (
        (f"module._target_={HERE}.NamesNothing",), "^metric=val/accuracy: NamesNothing logs on validation nothing: log",
    ),
    "no validation": ((f"module._target_={HERE}.NoValidation", *MAX), "^module: NoValidation has no validation_step"),
    "a validation that fails": (
        (f"module._target_={HERE}.FailsInValidation", *MAX),
        "^module: FailsInValidation.validation_step: RuntimeError: .*mat1 and mat2 shapes",
    ),
    "a test that fails": (
        (f"module._target_={HERE}.FailsInTest", *MAX), "^module: FailsInTest.test_step: KeyError: 'labels'",
    ),
    "a net": (("module._target_=torch.nn.Identity", *MAX), "^module: torch.nn.Identity gave a Identity, not a Light"),
    "against torchmetrics": (
        (*MODULES["torchmetrics"], "metric_direction=min"), "^metric_direction=min, but torchmetrics says max of",
    ),
    "compiled": ((LIT, "trainer.compile=true", *MAX), "^trainer.compile=true is for module=supervised"),
    "clipped": (
        (*MODULES["two optimizers by hand"], "clip.norm=1"), "^clip: TwoOptimizers makes its steps itself",
    ),
    "as a net": ((f"model._target_={HERE}.LitNet",), "^model: .*give it as module._target_=.*LitNet"),
    "keys without a module": (("module.lr=0.1",), "^nothing reads module.lr: module=supervised is made of"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_run_is_refused_before_training(make_run, command, message):
    with pytest.raises(UserError, match=message) as caught:
        make_run(*command_of(*command))
    assert "\n" not in str(caught.value)


def test_a_module_may_count_on_the_number_of_samples(make_run, tmp_path):
    command = (f"module._target_={HERE}.OfTheWholeBatch", *MAX)
    assert make_run(*command_of(*command), "budget.steps=3").train(tmp_path).status == "completed"


def test_scaled_targets_are_said(make_run):
    class_ = f"module._target_={HERE}.Line"
    run = make_run("data=diabetes", class_, "metric=val_mse", "metric_direction=min")
    assert run.notes == ("module: Line gets targets of mean 0 and standard deviation 1, and logs in these units",)


class Line(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(10, 1)

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_mse", F.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

"""The loaders of a user's LightningDataModule: what cannot be trained or measured rightly is refused."""

from typing import Any, cast

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from bakeoff.data import as_datamodule
from bakeoff.errors import UserError

from .datasets import Bare, Endless

X, Y = torch.rand(12, 3), torch.arange(12) % 3
GOOD = DataLoader(TensorDataset(X, Y), batch_size=4)
EMPTY = DataLoader(TensorDataset(X[:0], Y[:0]), batch_size=4)
DICTS = DataLoader(Bare(lambda i: {"pixel_values": X[0], "kind": 1}), batch_size=4)
TRIPLES = DataLoader(TensorDataset(X, Y, Y), batch_size=4)


def module(train=GOOD, val=GOOD, **more):
    """A data module with these loaders, each given as it is."""
    given = {"train_dataloader": train, "val_dataloader": val, **more}
    methods = {name: (lambda self, loader=loader: loader) for name, loader in given.items()}
    return type("Own", (L.LightningDataModule,), methods)()


def refusal(source, batch_size=4):
    with pytest.raises(UserError) as caught:
        as_datamodule(source, batch_size=batch_size, seed=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


UNUSABLE = [
    ([GOOD, GOOD], "gives several loaders (a list): give one, of batches (x, y)"),
    ({"a": GOOD, "b": GOOD}, "gives several loaders (a dict): give one, of batches (x, y)"),
    ({"a": GOOD}, "gives several loaders (a dict)"),
    (iter(GOOD), "gives an iterator, which is spent after one pass: give a DataLoader"),
    ((batch for batch in GOOD), "gives an iterator"),
    (3, "gives a int: give a DataLoader, or another iterable of batches"),
    (DICTS, "a target called labels, label, targets, target or y, got a dict of pixel_values, kind"),
    (TRIPLES, "target or y, got a list of 3"),
    (DataLoader(cast("Any", X), batch_size=4), "target or y, got a Tensor"),
    ([({"ids": X}, Y)] * 2, "gives several loaders (a list)"),
]


@pytest.mark.parametrize("hook", ["train_dataloader", "val_dataloader", "test_dataloader"])
@pytest.mark.parametrize(("loader", "message"), UNUSABLE)
def test_what_cannot_be_served_is_refused_by_name(hook, loader, message):
    said = refusal(module(**{hook.removesuffix("_dataloader") if hook[0] != "t" or hook[1] == "r" else hook: loader}))
    assert f"Own.{hook}" in said
    assert message in said


@pytest.mark.parametrize("hook", ["train", "val"])
@pytest.mark.parametrize("loader", [None, EMPTY, DataLoader(Endless(), batch_size=4)], ids=["None", "empty", "stream"])
def test_training_and_validation_data_are_required(hook, loader):
    data = "training" if hook == "train" else "validation"
    expected = f"{data} data is required" if loader is None else "gives no batch: its data is empty, or smaller"
    said = refusal(module(**{hook: loader}))
    assert f"{hook}_dataloader" in said
    assert expected in said


def test_a_last_batch_that_is_the_only_one_and_is_dropped():
    dropped = DataLoader(TensorDataset(X, Y), batch_size=40, drop_last=True)
    assert "smaller than a batch with drop_last" in refusal(module(train=dropped), batch_size=40)
    assert "Own.val_dataloader gives no batch" in refusal(module(val=dropped))


def test_no_training_loader_at_all():
    class Blind(L.LightningDataModule):
        def val_dataloader(self):
            return GOOD

    assert refusal(Blind()) == "Blind has no train_dataloader, or it gives none: training data is required"


@pytest.mark.parametrize("loader", [None, EMPTY, []], ids=["None", "empty", "no loaders"])
def test_without_test_data_there_are_no_test_metrics_and_that_is_said(loader):
    with pytest.warns(UserWarning, match="Own.test_dataloader gives no batch: there are no test metrics"):
        _, spec = as_datamodule(module(test_dataloader=loader), batch_size=4, seed=0)
    assert not spec.has_test


def test_a_list_of_one_loader_is_that_loader():
    _, spec = as_datamodule(module(val=[GOOD], test_dataloader=[GOOD]), batch_size=4, seed=0)
    assert spec.has_test


def test_test_data_that_is_made_in_setup_of_the_test():
    class Staged(L.LightningDataModule):
        batch_size = 4

        def setup(self, stage):
            self.made = stage

        def train_dataloader(self):
            assert self.made == "fit"
            return DataLoader(TensorDataset(X, Y), batch_size=self.batch_size)

        val_dataloader = train_dataloader

        def test_dataloader(self):
            assert self.made == "test"
            return GOOD

    _, spec = as_datamodule(Staged(), batch_size=4, seed=0)
    assert spec.has_test


class Broken(L.LightningDataModule):
    batch_size = 4

    def prepare_data(self):
        raise FileNotFoundError("no such file:\n  iris.csv")


class Unreadable(IterableDataset):
    def __iter__(self):
        raise ZeroDivisionError


def test_what_a_module_raises_is_said_in_one_line():
    assert refusal(Broken()) == "data: Broken failed: FileNotFoundError: no such file: iris.csv"
    assert "failed: ZeroDivisionError: no message" in refusal(module(val=DataLoader(Unreadable(), batch_size=4)))


def quantities(n=200):
    return DataLoader(TensorDataset(torch.rand(n, 3), torch.linspace(0, 1, n)), batch_size=1)


@pytest.mark.parametrize(("width", "said"), [(1, "only 0 and 1"), (3, "one-hot")])
def test_classes_in_floating_point_are_ranked_by_rmse_only_when_asked_to(width, said):
    y = torch.eye(3).repeat(14, 1) if width == 3 else (torch.rand(42, 1) > 0.5).float()
    source = module(train=DataLoader(TensorDataset(torch.rand(42, 3), y), batch_size=1))
    assert said in refusal(source, batch_size=1)
    source.task = "regression"
    assert as_datamodule(source, batch_size=1, seed=0)[1].task == "regression"


def test_quantities_whose_first_is_0_are_quantities():
    assert as_datamodule(module(train=quantities()), batch_size=1, seed=0)[1].task == "regression"

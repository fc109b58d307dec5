"""One flat mapping of what a run was given, true types throughout."""

import math
from dataclasses import replace

import pytest

from bakeoff.runs.execution import EXECUTION_KEYS
from bakeoff.train.hyperparameters import hyperparameters


def found(make_run, *overrides, choices=None, n_train=1077):
    run = make_run(*overrides)
    return hyperparameters(run.settings, choices or {}, n_train)


def test_the_defaults(make_run):
    choices = {"optimizer": "sgd", "loss": "cross_entropy", "model": "mlp", "data": "digits", "schedule": "constant"}
    assert found(make_run, choices=choices) == {
        **choices,
        "batch_size": "128", "samples_per_step": 128,
        "data.val_size": 0.2, "data.test_size": 0.2, "data.split_seed": 0, "data.drop_last": False,
        "model.widths": "[64, 32]", "loss.label_smoothing": 0.0,
        "optimizer.lr": 0.1, "optimizer.momentum": 0.0, "optimizer.dampening": 0.0, "optimizer.weight_decay": 0.0,
        "optimizer.nesterov": False, "budget.epochs": 20, "early_stopping.min_delta": 0.0,
        "trainer.accelerator": "cpu", "trainer.precision": "32-true", "trainer.compile": False, "trainer.threads": 1,
        "trainer.accumulate_grad_batches": 1,
    }  # fmt: skip


def test_keys_that_change_no_result_are_left_out(make_run):
    names = {name.split(".")[0] for name in found(make_run, "metric=val/nll", "log=full", "tuning_note=x", "seed=3")}
    assert not names & {"seed", "sweep", "root", "metric", "hydra", *EXECUTION_KEYS}


@pytest.mark.parametrize(("batch_size", "samples"), [("16", 16), ("full", 1077), ("5000", 1077)])
def test_batch_size_is_text_beside_a_number(make_run, batch_size, samples):
    given = found(make_run, f"batch_size={batch_size}")
    assert (given["batch_size"], given["samples_per_step"]) == (batch_size, samples)


def test_a_full_batch_of_unknown_size(make_run):
    assert "samples_per_step" not in found(make_run, "batch_size=full", n_train=None)
    assert found(make_run, "batch_size=16", n_train=None)["samples_per_step"] == 16


def test_a_part_without_a_choice_goes_by_its_class(make_run):
    given = found(make_run, choices={"loss": "mse", "experiment": None, "hydra/launcher": "bakeoff"})
    assert (given["loss"], given["optimizer"], given["data"]) == ("mse", "SGD", "digits")
    assert "hydra/launcher" not in given


def test_a_class_of_the_command_line_hides_the_choice(make_run):
    from bakeoff.train import build_run

    overrides = ["optimizer._target_=torch.optim.Adagrad", "optimizer.lr=0.1", "trainer=cpu"]
    made = build_run(make_run(*overrides).settings, overrides, {"optimizer": "sgd", "loss": "cross_entropy"})
    given = made.hyperparameters
    assert (given["optimizer"], given["optimizer.lr"], given["loss"]) == ("Adagrad", 0.1, "cross_entropy")
    assert "optimizer.momentum" not in given


def test_every_kind_of_value(make_run):
    base = make_run().settings
    model = {
        "_target_": "pkg.Net", "flag": True, "none": None, "text": "x", "number": 2, "list": [1, "a", None],
        "inner": {"_target_": "pkg.inner.Block", "_partial_": True, "depth": {"n": 3}}, "empty": {},
        "infinite": math.inf, "huge": 10**400, "nan": math.nan,
    }  # fmt: skip
    callbacks = {"keep": {"_target_": "x.Y", "secret": 1}, "ema": {"_target_": "x.Z"}}
    trainer = replace(base.trainer, precision=32)
    settings = replace(base, model=model, trainer=trainer, callbacks=callbacks)
    given = hyperparameters(settings, {})
    assert {k: v for k, v in given.items() if k.startswith("model")} == {
        "model": "Net", "model.flag": True, "model.text": "x", "model.number": 2, "model.list": '[1, "a", null]',
        "model.inner": "Block", "model.inner.depth.n": 3,
        "model.infinite": "inf", "model.huge": str(10**400), "model.nan": "nan",
    }  # fmt: skip
    assert given["trainer.precision"] == "32"
    assert given["callbacks"] == "keep, ema"


def test_where_data_lies_is_left_out(make_run):
    data = {"_target_": "bakeoff.data.mnist", "root": "/data", "download": False, "val_size": 5000}
    settings = replace(make_run().settings, data=data)
    assert {k for k in hyperparameters(settings, {}) if k.startswith("data")} == {"data", "data.val_size"}

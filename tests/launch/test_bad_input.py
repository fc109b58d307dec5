"""Every mistake gives one clear message with the remedy, a non-zero exit status, and leaves nothing behind."""

import numpy as np
import pytest

CASES = {
    "misspelt value": (["optimizer=adm"], r"Could not find 'optimizer/adm' (did you mean adam?)"),
    "misspelt value in a list": (
        ["metrics=[f1,aurok]"], "Could not find 'metrics/aurok' (did you mean auroc?); there are auroc, average_precision, ",
    ),
    "misspelt key": (["optimzer=adam"], "unknown key optimzer (did you mean optimizer?)"),
    "misspelt setting": (["optimizer.lrr=1"], "unknown key optimizer.lrr (did you mean optimizer.lr?); in optimizer there are"),
    "added key": (["+foo=1"], "nothing reads foo; remove it"),
    "added key of a name": (["+optimiser=adam"], "nothing reads optimiser (did you mean optimizer?); remove it"),
    "added group": (["+own={a:1,b:2}", "model.widths=['${own.a}']"], "nothing reads own.b"),
    "setting of a part without a class": (["+schedule.warmup=3"], "nothing reads schedule.warmup: this schedule has no class"),
    "added setting of a group": (["+trainer.accumulate_gradients=4"], "nothing reads trainer.accumulate_gradients"),
    "comparison key that is not there": (["+seeds=3"], "nothing reads seeds (did you mean seed?)"),
    "sweep that reads as a number": (["sweep=2026_11_25"], "sweep must be text, got 20261125 (int); quote it twice: sweep=\"'2026_11_25'\""),
    "sweep that reads as nothing": (["sweep=null"], "sweep must be text, got None (NoneType); quote it twice: sweep=\"'null'\""),
    "variable that is not set": (["hydra.job.env_copy=[NOT_SET]"], "the environment variable NOT_SET is not set"),
    "no equals sign": (["optimizer"], "Error parsing override 'optimizer': it has no value; write optimizer=..."),
    "space after a comma": (
        ["-m", "optimizer=sgd,", "adam"], "Error parsing override 'optimizer=sgd,': no space may follow a comma; write optimizer=a,b",
    ),
    "no quotes": (["+note=a b (c"], "Error parsing override '+note=a b (c': quote a value with spaces, commas or brackets twice"),
    "batch size 0": (["batch_size=0"], 'batch_size must be a whole number >= 1 or "full", got 0'),
    "batch size text": (["batch_size=fulll"], 'batch_size must be a whole number >= 1 or "full", got fulll'),
    "batch size fraction": (["batch_size=1.5"], 'batch_size must be a whole number >= 1 or "full", got 1.5'),
    "negative rate": (["optimizer.lr=-1"], "optimizer: Invalid learning rate: -1. lr must be >= 0, got -1"),
    "torch's own message": (["optimizer=torch_adam", "optimizer.lr=-1"], "optimizer: Invalid learning rate: -1"),
    "unknown argument": (["+optimizer.rate=1"], "optimizer: SGD.__init__() got an unexpected keyword argument 'rate'"),
    "seed": (["seed=-1"], "seed must be a whole number from 0 to 4294967295, got -1"),
    "loss for another task": (
        ["loss=hinge", "data=diabetes"],
        "loss Hinge is for classification, but the data is for regression; losses that fit: absolute_error, huber, mse",
    ),
    "loss for another task, too": (["loss=huber"], "losses that fit: cross_entropy, hinge, mse, squared_hinge"),
    "truth for a number": (
        ["optimizer=torch_sgd", "optimizer.weight_decay=true"], "optimizer.weight_decay must be a number, got true",
    ),
    "null for truth": (["optimizer.nesterov=null"], "optimizer.nesterov must be true or false, got null"),
    "text for truth": (
        ["optimizer=rmsprop", "optimizer.centered=no"], "optimizer.centered must be true or false, got no",
    ),
    "a number for truth": (
        ["optimizer=torch_adam", "optimizer.amsgrad=1"], "optimizer.amsgrad must be true or false, got 1",
    ),
    "a list in place of a truth": (
        ["optimizer=adamw", "optimizer.amsgrad=[true]"], "optimizer.amsgrad must be true or false, got [True]",
    ),
    "text for truth in what a part holds": (
        ["+model.activation._target_=torch.nn.LeakyReLU", "+model.activation.inplace=off"],
        "model.activation.inplace must be true or false, got off",
    ),
    "later phase of a schedule": (
        ["schedule=warmup_cosine", "schedule.final=-0.1"], "schedule: final must be in [0, 1], got -0.1",
    ),
    "loss that refuses the targets": (
        ["data=diabetes", "loss=mse", "loss.k=1.5"],
        "loss: MSE of outputs (2, 1) and targets (2, 1): k and M must be 1 for real targets",
    ),
    "label smoothing": (["loss.label_smoothing=1.5"], "loss: label_smoothing must be in [0, 1), got 1.5"),
    "unknown metric": (["metric=val/acuracy"], "unknown metric val/acuracy (did you mean val/accuracy?); there are val/accuracy"),
    "test metric": (["metric=test/accuracy"], "test data chooses nothing"),
    "missing file": (["data=array", "data.path=none.npz"], "none.npz"),
    "no file named": (["data=array"], "data.path"),
    "missing data set": (["data=mnist", "data.root=nowhere"], "data.download=true"),
    "no budget": (["budget.epochs=null"], "give one of budget.epochs, budget.steps, budget.samples, budget.seconds; got none"),
    "seed too large": (["seed=5000000000"], "seed must be a whole number from 0 to 4294967295, got 5000000000"),
    "sweep outside root": (["sweep=../x"], "sweep must be the name of one folder (root=... says where), got '../x'"),
    "group left out": (["clip=null"], "clip must be a group of settings, got None"),
    "group of one setting": (["ema=0.9"], "ema must be a group of settings, got 0.9; give ema.decay=0.9"),
    "group of several settings": (["clip=1"], "clip must be a group of settings, got 1; give clip.norm=1 or clip.value=1"),
    "task": (
        ["task=multilabel"],
        "task must be a group of settings, got multilabel; give data.task=multilabel, or an attribute task='multilabel' of a data",
    ),
    "another task": (["task=ranking"], "task must be a group of settings, got ranking; give task.class_axis="),
    "open group": (["schedules=cosine"], "schedules must be a group of settings, got cosine; give schedules.weight_decay._target_="),
    "open group left out": (["callbacks=null"], "callbacks must be a group of settings, got None; give callbacks.mine._target_="),
    "choice left out": (["param_groups=null"], "param_groups=null: give one of all, no_decay, or leave param_groups out for"),
    "number for a choice": (["optimizer=3"], "optimizer=3: give one of adam, adamw, muon,"),
    "list with nothing": (["metrics=null"], "metrics=null: give one of auroc, average_precision,"),
    "key removed": (["~reuse"], "reuse is missing; give reuse=..."),
    "key of a run removed": (["~metric"], "metric is missing; give metric=..."),
    "group removed": (["~optimizer"], "optimizer must be a group of settings, got None"),
    "precision": (["trainer.precision=bf61"], "trainer: Precision 'bf61' is invalid"),
    "half precision of targets": (
        ["data=diabetes", "loss=mse", "trainer.precision=16-true"],
        "trainer.precision=16-true rounds the targets of a regression to 3 digits, and so its metrics: use trainer.precision=16-mixed",
    ),
    "accelerator": (["trainer.accelerator=gpuu"], "trainer: "),
    "compile": (["trainer.compile=maybe"], "trainer.compile must be true or false, got maybe"),
    "min_delta": (["early_stopping.min_delta=abc"], "early_stopping.min_delta must be a number >= 0, got abc"),
    "betas": (["optimizer=torch_adam", "optimizer.betas=[0.9]"], "optimizer: "),
    "negative schedule": (["schedule=cosine", "schedule.final=-3"], "schedule: final must be in [0, 1], got -3"),
    "no rate in the demo": (
        ["experiment=demo", "optimizer=adamw"], "learning_rates.adamw.cross_entropy' not found; give optimizer.lr=...",
    ),
    "budget overruled": (["experiment=demo", "budget=seconds"], "budget=seconds is overruled by an experiment; give budget.seconds="),
    "two budgets": (["budget.steps=1", "budget.epochs=1"], "got budget.epochs=1, budget.steps=1"),
    "budget 0": (["budget.steps=0"], "budget.steps must be a whole number >= 1, got 0"),
    "budget below 0": (["budget.seconds=-1"], "budget.seconds must be a number > 0, got -1"),
    "clipping twice": (["clip.norm=1", "clip.value=1"], "give clip.norm or clip.value, not both"),
    "schedule": (["schedule=warmup_cosine", "schedule.warmup=2"], "schedule: warmup must be in [0, 1), got 2"),
    "class that is not there": (["model._target_=nope.Net"], "model: cannot import nope.Net: No module named 'nope'"),
    "class that is no net": (["model._target_=collections.OrderedDict"], "not a torch.nn.Module"),
    "net of another size": (
        ["model._target_=torch.nn.Linear", "+model.in_features=3", "+model.out_features=10"],
        "model: Linear does not take examples of shape (1, 8, 8)",
    ),
    "net with other outputs": (
        ["model._target_=torch.nn.Flatten"], "model: Flatten gives 64 outputs, but the data needs n_out=10",
    ),
    "no such group folder": (["--config-dir", "nowhere"], "nowhere' not found"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), CASES.values(), ids=CASES)
def test_one_message_and_nothing_left(bakeoff, tmp_path, arguments, message):
    result = bakeoff(*arguments)
    assert result.status == 2
    assert message in result.err
    assert result.err.startswith("bakeoff: ")
    assert "Traceback" not in result.err + result.out
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] in ([], ["outputs"])


def test_a_gpu_where_there_is_none(bakeoff, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = bakeoff("trainer=gpu")
    assert result.status == 2
    assert result.err == "bakeoff: trainer=gpu, but torch finds no GPU here; use trainer=cpu or trainer=auto\n"


@pytest.mark.parametrize("trainer", ["auto", "gpu"])
def test_more_gpus_than_there_are(bakeoff, monkeypatch, trainer):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    result = bakeoff(f"trainer={trainer}", "trainer.devices=2")
    assert result.status == 2
    assert result.err == "bakeoff: trainer.devices=2, but torch finds 1 GPU here\n"


def test_a_folder_that_cannot_be_written(bakeoff, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for arguments in (["root=file"], ["-m", "root=file", "seed=0,1"], ["root=/proc/nowhere"]):
        result = bakeoff("budget.steps=1", *arguments)
        assert result.status == 2
        assert "cannot write to" in result.err
        assert "choose another folder with root=" in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"], ids=["empty", "text", "truncated"])
def test_a_corrupt_data_file(bakeoff, tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    result = bakeoff("data=array", "data.path=mine.npz")
    assert result.status == 2
    assert "mine.npz" in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_data_that_is_not_finite(bakeoff, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.full((50, 3), np.nan), y=np.arange(50) % 2)
    result = bakeoff("data=array", "data.path=mine.npz")
    assert result.status == 2
    assert "mine.npz" in result.err


def test_a_sweep_with_bad_runs_starts_none(bakeoff, tmp_path):
    result = bakeoff("-m", "data=digits,diabetes", "loss=mse,hinge", "seed=0,1", "budget.steps=1")
    assert result.status == 2
    assert "2 of 8 runs cannot be built; none was started" in result.err
    assert "losses that fit: absolute_error, huber, mse" in result.err
    assert not list(tmp_path.rglob("outcome.json"))


def test_the_stack_trace_is_there_for_the_asking(bakeoff, monkeypatch):
    monkeypatch.setattr("bakeoff.app._wants_trace", True)
    with pytest.raises(Exception, match="lr must be >= 0"):
        bakeoff("optimizer.lr=-1")

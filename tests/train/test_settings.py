"""Every setting of a run reaches the training."""

import copy
import importlib
import sys
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bakeoff.errors import UserError
from bakeoff.optim import AdamW
from bakeoff.report.curves import read_curves
from bakeoff.train.identity import identity_by_seed


class Spy(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.net, self.dtype = type(pl_module.net).__name__, next(pl_module.net.parameters()).dtype
        self.batch_dtype = batch[0].dtype

    def on_train_start(self, trainer, pl_module):
        self.threads = torch.get_num_threads()


def spied(make_run, folder, *overrides):
    run = make_run(f"+callbacks.spy._target_={__name__}.Spy", "budget.steps=10", *overrides)
    outcome = run.train(folder)
    assert outcome.status == "completed", outcome.error
    return run.callbacks[0]


def test_precision(make_run, tmp_path):
    assert spied(make_run, tmp_path, "trainer.precision=64-true").dtype == torch.float64
    assert spied(make_run, tmp_path, "trainer.precision=bf16-true").dtype == torch.bfloat16


def test_threads(make_run, tmp_path):
    torch.set_num_threads(2)
    assert spied(make_run, tmp_path, "trainer.threads=1").threads == 1


@pytest.mark.long
@pytest.mark.slow
def test_compile(make_run, tmp_path):
    assert spied(make_run, tmp_path, "trainer.compile=true").net == "OptimizedModule"


def test_a_schedule_reaches_the_optimizer(make_run, tmp_path):
    make_run("schedule=cosine", "optimizer.lr=0.2", "budget.steps=100").train(tmp_path)
    curve = read_curves(tmp_path)["lr"]
    # the point of step s is made with the factor of s - 1 steps
    cosine = [0.1 * (1 + torch.cos(torch.tensor((s - 1) / 100 * torch.pi)).item()) for s in curve.steps]
    assert list(curve.steps) == list(range(10, 101, 10))
    assert list(curve.values) == pytest.approx(cosine, abs=1e-6)


def test_early_stopping_of_a_metric_that_falls(make_run, tmp_path):
    command = ("metric=val/nll", "early_stopping.patience=3", "optimizer=adam", "optimizer.lr=0.003")
    outcome = make_run(*command, "budget.steps=100", "budget.validations=10").train(tmp_path)
    assert outcome.steps == 100  # nll falls in every look: nothing to stop for


def test_a_budget_in_seconds_ends_with_a_validation(make_run, tmp_path):
    outcome = make_run("budget.seconds=0.4", "budget.validations=2").train(tmp_path)
    assert outcome.status == "completed"
    assert read_curves(tmp_path)["val/accuracy"].steps[-1] == outcome.steps


class DrawsAfter(nn.Sequential):
    """Two nets with the same weights, one of which takes more random numbers while it is built."""

    def __init__(self, *, n_in, n_out, extra):
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.Linear(n_in, n_out))
        torch.randn(extra)


def test_dropout_draws_the_same_whatever_was_drawn_before(make_run, tmp_path):
    command = (f"model._target_={__name__}.DrawsAfter", "budget.steps=5")
    few, many = (make_run(*command, f"+model.extra={n}").train(tmp_path / str(n)) for n in (1, 50))
    assert few.metrics == many.metrics
    other = make_run(*command, "+model.extra=1", "seed=1").train(tmp_path / "other")
    assert other.metrics != few.metrics


class OwnData(pl.LightningDataModule):
    """No test data, no attribute of ours but the number of classes."""

    num_classes = 2

    def __init__(self, batch_size=8):
        super().__init__()
        self.batch_size = batch_size
        x = torch.arange(80.0).reshape(40, 2) / 80
        self.pairs = TensorDataset(x, (x[:, 0] > 0.5).long())

    def train_dataloader(self):
        return DataLoader(self.pairs, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.pairs, 40)


def test_a_users_data_module_without_test_data(make_run, tmp_path):
    run = make_run(f"data._target_={__name__}.OwnData", "batch_size=5", "budget.epochs=2")
    outcome = run.train(tmp_path)
    assert outcome.status == "completed", outcome.error
    assert (outcome.steps, outcome.samples, outcome.epochs) == (16, 80, 2.0)
    assert "val/accuracy" in outcome.metrics
    assert not [name for name in outcome.metrics if name.startswith("test/")]


@pytest.mark.parametrize(
    "change",
    ["budget.steps=7", "budget.validations=3", "early_stopping.patience=2", f"+callbacks.spy._target_={__name__}.Spy"],
)
def test_identity_changes_with(make_run, change):
    base = make_run("budget.steps=5").settings
    assert identity_by_seed(base)(0) != identity_by_seed(make_run("budget.steps=5", change).settings)(0)


def test_identity_follows_what_a_users_modules_say(make_run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    net = "import changing_helper\nclass Net(changing_helper.Net):\n    pass\n"
    helper = "import torch\nclass Net(torch.nn.Sequential):\n    def __init__(self, *, n_in, n_out):\n"
    helper += "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"

    def identity(net, helper):
        (tmp_path / "changing_net.py").write_text(net)
        (tmp_path / "changing_helper.py").write_text(helper)
        for name in ("changing_net", "changing_helper"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return make_run("model._target_=changing_net.Net").identity

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python's own cache goes by time, in seconds, and size
    first = identity(net, helper)
    assert identity(net + "# a comment\n", helper) == first
    assert identity(net, helper.replace("n_in, n_out))", "n_in,\n n_out))")) == first
    assert identity(net, helper.replace("torch.nn.Flatten(), ", "torch.nn.Flatten(), torch.nn.ReLU(), ")) != first
    assert identity(net.replace("pass", "a = 1"), helper) != first
    assert identity(net, helper) == first


def test_a_process_trains_what_it_has_imported(make_run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "import torch\nclass Net(torch.nn.Sequential):\n    def __init__(self, *, n_in, n_out):\n"
    source += "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
    (tmp_path / "imported_net.py").write_text(source)
    before = make_run("model._target_=imported_net.Net").identity
    (tmp_path / "imported_net.py").write_text(source.replace("Flatten(), ", "Flatten(), torch.nn.Tanh(), "))
    again = make_run("model._target_=imported_net.Net")
    del sys.modules["imported_net"]  # other tests ask which modules have changed
    assert [type(layer).__name__ for layer in again.parts.net] == ["Flatten", "Linear"]
    assert again.identity == before


class Frozen(nn.Sequential):
    def __init__(self, *, n_in, n_out):
        super().__init__(nn.Flatten(), nn.BatchNorm1d(n_in), nn.Linear(n_in, n_out))
        self[1].eval()


def test_a_part_that_a_user_froze_stays_frozen(make_run):
    net = make_run(f"model._target_={__name__}.Frozen").parts.net
    assert (net.training, net[1].training, net[2].training) == (True, False, True)


def test_a_users_checkpoint_callback_works(make_run, tmp_path):
    command = (
        "+callbacks.keep._target_=lightning.pytorch.callbacks.ModelCheckpoint",
        f"+callbacks.keep.dirpath='{tmp_path}/kept'",
    )
    outcome = make_run(*command, "budget.steps=10").train(tmp_path)
    assert outcome.status == "completed", outcome.error
    assert list((tmp_path / "kept").glob("*.ckpt"))


def test_identity_depends_on_the_metric_that_early_stopping_waits_for(make_run):
    def identity(*overrides):
        return identity_by_seed(make_run(*overrides).settings)(0)

    assert identity("metric=val/nll") == identity("metric=val/accuracy")
    stop = "early_stopping.patience=1"
    assert identity(stop, "metric=val/nll") != identity(stop, "metric=val/accuracy")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+trainer.acumulate=2",
            r"nothing reads trainer.acumulate; in trainer there are accelerator, devices, strategy, precision, .*",
        ),
        ("+budget.step=2", r"nothing reads budget.step \(did you mean steps\?\); in budget there are epochs, .*"),
        ("+clip.nrom=2", r"nothing reads clip.nrom \(did you mean norm\?\); in clip there are norm, value"),
        ("~trainer.compile", "trainer.compile is missing; give trainer.compile=..."),
    ],
)
def test_a_key_that_nothing_reads_is_refused(make_run, override, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        make_run(override)


def weights_and_order(run):
    """The first weight, and the labels of the first batch."""
    return run.parts.net.state_dict(), next(iter(run.parts.data.train_dataloader()))[1]


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_seeds_of_weights_and_data_alone(make_run, tmp_path):
    command = ("batch_size=16", "budget.steps=4")
    (w0, d0), (w1, d1) = (weights_and_order(make_run(*command, f"seed={seed}")) for seed in (0, 1))
    assert not same(w0, w1)
    assert not torch.equal(d0, d1)
    fixed_weights, other_order = weights_and_order(make_run(*command, "seed=1", "init_seed=0"))
    assert same(fixed_weights, w0)
    assert torch.equal(other_order, d1)
    other_weights, fixed_order = weights_and_order(make_run(*command, "seed=1", "data_seed=0"))
    assert same(other_weights, w1)
    assert torch.equal(fixed_order, d0)
    runs = [make_run(*command, "seed=1", *more) for more in ((), ("init_seed=0",), ("data_seed=0",), ("data_seed=1",))]
    assert len({run.identity for run in runs}) == 4
    assert runs[1].hyperparameters["init_seed"] == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("init_seed=-1",), "init_seed must be a whole number from 0 to 4294967295 or null, got -1"),
        (("data_seed=1.5",), "data_seed must be a whole number from 0 to 4294967295 or null, got 1.5"),
        (("data_seed=1", "init_seed=1"), "give init_seed or data_seed, not both: seed would vary nothing"),
    ],
)
def test_seeds_that_are_none(make_run, given, message):
    with pytest.raises(UserError, match=message):
        make_run(*given)


BIASES = ("param_groups.biases.kind=bias", "param_groups.biases.lr=0.5", "param_groups.others.rest=true")


def test_groups_of_parameters_decide_the_result_and_are_shown(make_run, tmp_path):
    plain, same = make_run("budget.steps=5"), make_run("budget.steps=5", "param_groups=all")
    groups = make_run("budget.steps=5", *BIASES)
    assert plain.identity == same.identity != groups.identity
    assert groups.train(tmp_path / "groups").metrics != plain.train(tmp_path / "plain").metrics
    shown = {key: value for key, value in groups.hyperparameters.items() if key.startswith("param_groups")}
    assert shown == {
        "param_groups": "biases, others",
        "param_groups.biases.kind": "bias", "param_groups.biases.lr": 0.5, "param_groups.others.rest": True,
    }  # fmt: skip
    assert not any(key.startswith("param_groups") for key in plain.hyperparameters)


def test_weight_decay_of_the_matrices_alone(make_run, tmp_path):
    """Gradients of zero: what is left is the decay, w <- (1 - lr decay) w in each step."""
    command = (f"loss._target_={__name__}.Zero", "metric=val/loss", "optimizer.weight_decay=0.5", "budget.steps=3")
    run = make_run(*command, "param_groups=no_decay")
    before = {name: p.detach().clone() for name, p in run.parts.net.named_parameters()}
    assert run.train(tmp_path).status == "completed"
    for name, parameter in run.parts.net.named_parameters():
        expected = before[name] * (1 if name.endswith("bias") else (1 - 0.1 * 0.5) ** 3)
        torch.testing.assert_close(parameter.detach(), expected)


class Zero(nn.Module):
    task = "classification"

    def forward(self, output, target):
        return 0 * output.mean(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("param_groups.head.names=head.*", "param_groups.body.rest=true"), "^param_groups.head.names: no parameter"),
        (("param_groups.a.kind=bias",), "^param_groups: .*weight .* is in no group; give one group rest=true"),
        (("param_groups.a.rest=true", "param_groups.a.lrr=1"), "^nothing reads param_groups.a.lrr; SGD has .*lr,"),
        (("param_groups=no_decay", "param_groups.no_decay.lr=-1"), "^param_groups.no_decay: .*lr must be >= 0"),
        (("param_groups.a.rest=true", "param_groups.a.lr=true"), "^param_groups.a.lr must be a number, got true"),
        (("param_groups.a=3",), "^param_groups.a must be a rule, got 3"),
    ],
)
def test_groups_that_do_not_fit_are_refused(make_run, given, message):
    with pytest.raises(UserError, match=message):
        make_run(*given)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (("optimizer=muon", "optimizer.muon.lr=0.02", "optimizer.adamw.lr=0.01"), {"lr/muon": 0.02, "lr/adamw": 0.01}),
        (("optimizer=muon", "optimizer.muon.lr=0.01", "optimizer.adamw.lr=0.01"), {"lr": 0.01}),
        (BIASES, {"lr/biases": 0.5, "lr/others": 0.1}),
        (("param_groups=no_decay",), {"lr": 0.1}),
    ],
)
def test_each_group_follows_the_schedule_from_its_own_rate(make_run, tmp_path, groups, expected):
    """To a rate of zero, where all are the same: the curves stay those of the beginning."""
    make_run(*groups, "schedule=linear", "budget.steps=8", "trainer.log_every_n_steps=1").train(tmp_path)
    found = {tag: curve.values.tolist() for tag, curve in read_curves(tmp_path).items() if tag.startswith("lr")}
    assert found == {tag: pytest.approx([lr * (1 - step / 8) for step in range(8)]) for tag, lr in expected.items()}


class KeepsBatches(pl.Callback):
    def __init__(self):
        self.batches = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batches.append(tuple(tensor.clone() for tensor in batch))


def test_muon_with_adamw_is_a_loop_with_two_optimizers(make_run, tmp_path):
    command = ("optimizer=muon", "optimizer.muon.lr=0.02", "optimizer.adamw.lr=0.01", "budget.steps=6")
    keep = f"callbacks.keep._target_={__name__}.KeepsBatches"
    run = make_run(*command, "schedule=linear", "schedule.final=0.5", keep)
    net = copy.deepcopy(run.parts.net)
    assert run.train(tmp_path).status == "completed"
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    options: Any = {"weight_decay": 0.01}
    muon = torch.optim.Muon([layer.weight for layer in layers[:-1]], adjust_lr_fn="match_rms_adamw", **options)
    adamw = AdamW([*(layer.bias for layer in layers), layers[-1].weight], **options)
    for step, (x, y) in enumerate(run.callbacks[0].batches):
        net.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        for optimizer, lr in ((muon, 0.02), (adamw, 0.01)):
            optimizer.param_groups[0]["lr"] = lr * (1 - 0.5 * (step / 6))
            optimizer.step()
    for found, expected in zip(run.parts.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-7)


def test_a_net_without_hidden_matrices_is_not_for_muon(make_run):
    with pytest.raises(
        UserError, match=r"^optimizer.rules.muon: this net has no parameter for muon \(kind: hidden, ndim: 2"
    ):
        make_run("optimizer=muon", "model=linear")


def test_groups_of_split_optimizers_are_its_rules(make_run):
    with pytest.raises(
        UserError, match=r"^param_groups: split makes groups of named parameters itself; give param_groups=all"
    ):
        make_run("optimizer=muon", "param_groups=no_decay")


def test_optimizers_split_on_the_command_line(make_run, tmp_path):
    rules = ("+optimizer.rules.body={kind: hidden}", "+optimizer.rules.rest={rest: true}")
    targets = {"body": "bakeoff.optim.SGD", "rest": "torch.optim.Adam"}
    given = [f"+optimizer.{k}={{_target_: {v}, _partial_: true, lr: 0.1}}" for k, v in targets.items()]
    run = make_run("optimizer=split", *rules, *given, "budget.steps=3")
    shown = {key: value for key, value in run.hyperparameters.items() if key.startswith("optimizer")}
    assert shown == {
        "optimizer": "split", "optimizer.rules.body.kind": "hidden", "optimizer.rules.rest.rest": True,
        "optimizer.body": "SGD", "optimizer.body.lr": 0.1, "optimizer.rest": "Adam", "optimizer.rest.lr": 0.1,
    }  # fmt: skip
    assert run.train(tmp_path).status == "completed"


def test_options_that_muon_looks_at_in_its_first_step_are_refused_before(make_run):
    with pytest.raises(UserError, match=r"^optimizer: '>=' not supported between instances of 'str' and 'int'"):
        make_run("optimizer=muon", "optimizer.muon.ns_steps=full")

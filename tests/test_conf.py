"""Every option of every group is composed, and instantiated as a run would."""

import inspect
from dataclasses import fields
from functools import partial
from typing import Any

import hydra
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from bakeoff.data import Arrays
from bakeoff.errors import UserError
from bakeoff.launch.launcher import SweepLauncher
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.launch.sweeper import ProductSweeper
from bakeoff.module import build_optimizer
from bakeoff.module.loss_arguments import kind_of
from bakeoff.module.task import Task
from bakeoff.runs.execution import EXECUTION_KEYS
from bakeoff.train import Settings, resolve_settings
from bakeoff.train.instantiate import instantiate
from bakeoff.train.metrics import metrics_from

CONF = package_conf()
OPTIONS = sorted((p.parent.name, p.stem) for p in CONF.glob("*/*.yaml"))
LAUNCHERS = sorted(p.stem for p in (CONF / "hydra" / "launcher").glob("*.yaml"))
GROUPS = {group for group, _ in OPTIONS}
NEEDS_FILES = {"mnist", "fashion_mnist", "cifar10", "array"}


def composed(*overrides):
    register_with_hydra()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("bakeoff", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return config


def settings(*overrides):
    return resolve_settings(composed(*overrides), overrides)


def options(group):
    return [name for found, name in OPTIONS if found == group]


def test_the_groups_are_those_agreed():
    assert {"data", "module", "model", "loss", "optimizer", "schedule", "budget", "trainer"} | {
        "metrics",
        "param_groups",
        "experiment",
    } == GROUPS


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_composes_into_settings_without_gaps(group, option):
    assert settings(f"{group}={option}").seed == 0


def test_the_defaults_are_those_agreed():
    found = settings()
    assert found.batch_size == 128
    assert found.budget.epochs == 20
    assert found.model["widths"] == [64, 32]
    agreed = {"seed": 0, "sweep": "main", "root": "outputs", "metric": "val/accuracy", "metric_direction": None}
    assert {key: getattr(found, key) for key in agreed} == agreed
    targets = {"data": "bakeoff.data.digits", "loss": "bakeoff.losses.CrossEntropy", "optimizer": "bakeoff.optim.SGD"}
    assert {group: found.part(group)["_target_"] for group in targets} == targets
    assert found.trainer.accelerator == "auto"


@pytest.mark.parametrize("option", options("data"))
def test_data(option):
    node = settings(f"data={option}").data
    if option in NEEDS_FILES:
        with pytest.raises(UserError, match="data"):
            instantiate("data", node)
    else:
        assert isinstance(instantiate("data", node), Arrays)


@pytest.mark.shared_data
@pytest.mark.parametrize("option", ["mnist", "fashion_mnist"])
def test_data_that_is_there(option, shared_data):
    data = instantiate("data", settings(f"data={option}", f"data.root='{shared_data}'").data)
    assert [len(x) for x, _ in (data.train, data.val, data.test)] == [55_000, 5_000, 10_000]


@pytest.mark.parametrize("option", options("model"))
def test_models(option):
    shape: dict[str, Any] = {"n_in": 784, "in_shape": (1, 28, 28), "n_out": 10}
    node = settings(f"model={option}").model
    wanted = {"linear": ("n_in", "n_out"), "mlp": ("n_in", "n_out")}.get(option, ("in_shape", "n_out"))
    net = instantiate("model", node, **{name: shape[name] for name in wanted})
    assert net.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("option", options("loss"))
def test_losses(option):
    loss = instantiate("loss", settings(f"loss={option}").loss)
    kind = kind_of(loss)
    target = torch.tensor([0, 2]) if kind in (None, "classification") else torch.tensor([0.0, 1.0])
    output = torch.zeros(2, 3) if kind in (None, "classification") else torch.zeros(2)
    assert loss(output, target).shape in ((2,), ())
    assert torch.isfinite(loss(output, target)).all()


@pytest.mark.parametrize("option", options("metrics"))
def test_metrics(option):
    found = settings(f"metrics=[{option}]").metrics
    assert list(found) == [option]
    metric = metrics_from(found, Task("classification", 3), None)[option]
    assert metric.higher_is_better is (option not in ("perplexity", "bits_per_character"))


@pytest.mark.parametrize("option", options("optimizer"))
def test_optimizers(option):
    factory = instantiate("optimizer", settings(f"optimizer={option}").optimizer)
    assert isinstance(factory, partial)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    if option == "split":
        with pytest.raises(ValueError, match=r"^optimizer.rules are missing"):
            build_optimizer(factory, net, None)
        return
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    build_optimizer(factory, net, None).step()
    assert all((p < old).any() for p, old in zip(net.parameters(), before, strict=True))


@pytest.mark.parametrize("option", options("param_groups"))
def test_param_groups(option):
    rules = settings(f"param_groups={option}").param_groups
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    optimizer = build_optimizer(partial(torch.optim.AdamW, weight_decay=0.5), net, None, rules)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decays[id(p)] for p in net.parameters()] == [0.5, *[0.5 if option == "all" else 0.0] * 3]


@pytest.mark.parametrize("option", options("schedule"))
def test_schedules(option):
    node = settings(f"schedule={option}").schedule
    if option == "constant":
        assert node == {"_target_": None}
    else:
        factors = [instantiate("schedule", node, partial=True)(p) for p in (0.0, 0.3, 1.0)]
        assert all(0 <= factor <= 1 for factor in factors)


@pytest.mark.parametrize("option", options("budget"))
def test_budgets(option):
    budget = settings(f"budget={option}").budget
    given = [unit for unit in ("epochs", "steps", "samples", "seconds") if getattr(budget, unit) is not None]
    assert given == [option]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "hinge"])
def test_the_demo_has_a_rate_for_each_optimizer_and_loss(optimizer, loss):
    overrides = ("experiment=demo", f"optimizer={optimizer}", f"loss={loss}")
    found = settings(*overrides)
    assert found.optimizer["lr"] == composed(*overrides).learning_rates[optimizer][loss]
    assert (found.budget.steps, found.budget.epochs, found.sweep) == (600, None, "demo")


def test_the_launchers_are_those_agreed():
    assert LAUNCHERS == ["bakeoff", "bakeoff_ray", "bakeoff_slurm"]


@pytest.mark.parametrize("option", LAUNCHERS)
def test_launchers_and_sweepers(option):
    """Hydra makes the launcher, which makes its back end from what it knows, and from the settings given there."""
    config = composed(f"hydra/launcher={option}")
    launcher = hydra.utils.instantiate(config.hydra.launcher)
    assert isinstance(launcher, SweepLauncher)
    assert isinstance(hydra.utils.instantiate(config.hydra.sweeper), ProductSweeper)
    make_backend = launcher._make_backend
    assert isinstance(make_backend, partial)
    given = {key: value for key, value in config.hydra.launcher.backend.items() if not key.startswith("_")}
    assert make_backend.keywords == OmegaConf.to_container(OmegaConf.create(given))
    inspect.signature(make_backend.func).bind("context", "resources", **make_backend.keywords)
    assert all(callable(getattr(make_backend.func, name)) for name in ("pool", "execution", "kill", "close"))


def test_every_setting_of_a_run_is_typed_or_a_matter_of_the_sweep():
    """What a run reads is a field of its settings; the rest is for the launcher, and changes no result."""
    read = {field.name for field in fields(Settings)}
    assert read <= set(composed()) - {"hydra"}
    assert set(composed()) - read - {"hydra"} <= EXECUTION_KEYS

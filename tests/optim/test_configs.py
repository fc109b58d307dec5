"""conf/optimizer: ours and torch's offer the same hyperparameters, each a plain value of the right type."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn import Parameter

from bakeoff import optim

from .public import OPTIMIZERS

CONF = Path(__file__).parents[2] / "conf" / "optimizer"
# not hyperparameters: `params` is what the partial awaits; implementations; what would change the comparison
NOT_OFFERED = {"params", "foreach", "fused", "capturable", "differentiable", "replicas"}
NOT_OFFERED |= {"maximize", "decoupled_weight_decay"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_config_offers_every_hyperparameter_and_its_torch_twin_the_same(name):
    config: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name.lower()}.yaml"))
    twin = OmegaConf.to_container(OmegaConf.load(CONF / f"torch_{name.lower()}.yaml"))
    offered = {"_target_", "_partial_", *inspect.signature(getattr(optim, name)).parameters} - NOT_OFFERED
    assert set(config) == offered
    assert twin == {**config, "_target_": f"torch.optim.{name}"}


SEVERAL = ("muon", "split")  # optimizers as one: tests/module/test_split.py
SINGLE = [path for path in sorted(CONF.glob("*.yaml")) if path.stem not in SEVERAL]


@pytest.mark.parametrize("path", SINGLE, ids=lambda path: path.stem)
def test_a_config_becomes_an_optimizer(path):
    config = OmegaConf.load(path)
    optimizer = instantiate(config, _convert_="all")([Parameter(torch.zeros(1))])
    package = "torch" if path.stem.startswith("torch_") else "bakeoff"
    assert type(optimizer).__module__.startswith(f"{package}.optim")
    assert isinstance(optimizer.param_groups[0]["lr"], float)

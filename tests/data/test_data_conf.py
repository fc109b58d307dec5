"""Every data set has a configuration that holds the arguments and defaults of its factory."""

import inspect
from importlib import import_module
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from bakeoff import data
from bakeoff.errors import UserError

CONF = Path(__file__).parents[2] / "conf" / "data"
FACTORIES = {"array", "cifar10", "diabetes", "digits", "fashion_mnist", "mnist"}


def load(name):
    return OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))


def test_every_data_set_has_a_configuration():
    assert {path.stem for path in CONF.glob("*.yaml")} == FACTORIES <= set(data.__all__)


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_configuration_holds_the_arguments_and_the_defaults_of_its_factory(name):
    conf = load(name)
    module, attribute = conf.pop("_target_").rsplit(".", 1)
    factory = getattr(import_module(module), attribute)
    parameters = inspect.signature(factory).parameters

    assert factory is getattr(data, name)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    tensors = {key for key in parameters if key[:2] in ("x", "y", "x_", "y_")}  # cannot be given in a configuration
    assert set(conf) == set(parameters) - tensors
    for key, value in conf.items():
        assert parameters[key].default in (value, inspect.Parameter.empty)


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_bundled_sets_are_instantiated(name):
    assert isinstance(hydra.utils.instantiate(load(name), split_seed=1), data.Arrays)


def test_array_asks_for_its_path():
    settings = load("array")
    settings.pop("_target_")
    with pytest.raises(UserError, match=r"set data\.path=FILE\.npz"):
        data.array(**settings)

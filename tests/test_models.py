"""The reference networks against published sizes, and on every shape of input that they promise to take."""

import inspect
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf
from torch import nn

from bakeoff import models

CONF = Path(__file__).parents[1] / "conf" / "model"
IMAGE, N_OUT = (1, 8, 8), 10


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(model, in_shape=IMAGE, n_out=N_OUT, **hyperparameters):
    """As the application does it: what the data decide is given to the arguments that ask for it."""
    known = {"in_shape": in_shape, "n_in": math.prod(in_shape), "n_out": n_out}
    wanted = inspect.signature(model).parameters
    return model(**{name: value for name, value in known.items() if name in wanted}, **hyperparameters)


def count_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


EVERY_MODEL: list[Any] = [models.Linear, models.MLP, models.CNN, models.resnet18]
every_model = pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda model: model.__name__)
every_image_model = pytest.mark.parametrize("model", [models.CNN, models.resnet18], ids=lambda m: m.__name__)


@pytest.mark.parametrize(
    ("model", "in_shape", "expected"),
    [
        (models.Linear, (1, 28, 28), 7_850),  # DeepOBS fmnist_logreg: 784 * 10 + 10
        (models.MLP, IMAGE, (64 * 64 + 64) + (64 * 32 + 32) + (32 * 10 + 10)),
        (models.CNN, (1, 28, 28), 3_274_634),  # DeepOBS fmnist_2c2d, as TensorFlow's own tutorial counts it
        (models.resnet18, (3, 32, 32), 11_173_962),  # He et al.'s ResNet-18 with this stem and 10 classes
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_number_of_parameters_is_the_published_one(model, in_shape, expected):
    assert count_parameters(build(model, in_shape)) == expected


@every_model
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (3, 9, 15), (2, 28, 28), (3, 32, 32)], ids=str)
def test_images_become_one_row_of_outputs_each(model, in_shape):
    net = build(model, in_shape, n_out=3)
    output = net(torch.zeros(2, *in_shape))
    assert output.shape == (2, 3)
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("model", [models.Linear, models.MLP])
def test_feature_vectors_become_one_row_of_outputs_each(model):
    assert build(model, (10,), n_out=1)(torch.zeros(4, 10)).shape == (4, 1)


@every_model
def test_a_seed_decides_the_initial_weights(model):
    def weights(seed):
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build(model).parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@every_model
def test_vmap_over_replicas_agrees_with_a_loop(model):
    # In float64: batch normalisation over the two examples amplifies what float32 rounds off
    nets = [build(model).double() for _ in range(3)]
    stacked = torch.func.stack_module_state(nets)
    inputs = torch.randn(3, 2, *IMAGE, dtype=torch.float64)

    def forward(parameters, buffers, x):
        return torch.func.functional_call(nets[0], (parameters, buffers), x)

    outputs = torch.func.vmap(forward)(*stacked, inputs)
    expected = torch.stack([net(x) for net, x in zip(nets, inputs, strict=True)])
    torch.testing.assert_close(outputs, expected)


def test_mlp_has_a_relu_between_its_layers_and_none_at_the_end():
    net = build(models.MLP, widths=[7, 5, 3])
    assert [layer.out_features for layer in net if isinstance(layer, nn.Linear)] == [7, 5, 3, N_OUT]
    assert [type(layer) for layer in net] == [nn.Flatten, *3 * [nn.Linear, nn.ReLU], nn.Linear]


def test_mlp_without_hidden_layers_is_linear():
    assert count_parameters(build(models.MLP, widths=())) == count_parameters(build(models.Linear))


def test_cnn_is_initialised_as_deepobs_does():
    net = build(models.CNN)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0.05).all()
        elif parameter.numel() > 10_000:
            assert parameter.abs().max() <= 0.1
            # A normal cut off at 2 σ has the standard deviation 0.8796 σ
            assert parameter.std().item() == pytest.approx(0.8796 * 0.05, rel=0.02)
            assert parameter.mean().item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("size", [8, 9, 15, 28, 32])
def test_cnn_pools_as_tensorflow_pads_the_same(size):
    net = build(models.CNN, (1, size, size))
    features = nn.Sequential(*list(net)[:6])(torch.zeros(1, 1, size, size))
    once = (size + 1) // 2
    twice = (once + 1) // 2
    assert features.shape == (1, 64, twice, twice)


@pytest.mark.parametrize(("size", "stages"), [(32, [32, 16, 8, 4]), (28, [28, 14, 7, 4]), (8, [8, 4, 2, 1])])
def test_resnet18_sees_small_images_at_full_size_first(size, stages):
    net = build(models.resnet18, (1, size, size)).eval()
    seen = []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        stage.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[1:])))
    net(torch.zeros(1, 1, size, size))
    assert seen == [(channels, n, n) for channels, n in zip([64, 128, 256, 512], stages, strict=True)]


def test_resnet18_initialises_its_stem_as_torchvision_does_the_rest():
    net = build(models.resnet18, (3, 32, 32))
    # He et al. 2015, fan-out: σ² = 2 / (64 channels * 3 * 3)
    assert net.conv1.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert net.layer1[0].conv1.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)


@every_image_model
@pytest.mark.parametrize("in_shape", [(10,), (8, 8), (2, 1, 8, 8)], ids=str)
def test_what_is_no_image_is_refused_with_a_remedy(model, in_shape):
    message = f"in_shape must be (channels, height, width) for {model.__name__}, got {in_shape}: Linear and MLP"
    with pytest.raises(ValueError, match=re.escape(message)):
        build(model, in_shape)


def test_mlp_refuses_an_empty_layer():
    with pytest.raises(ValueError, match=re.escape("widths must all be >= 1, got [64, 0]")):
        build(models.MLP, widths=[64, 0])


def test_every_model_has_a_config_that_states_its_defaults():
    configs = {path.stem: OmegaConf.load(path) for path in CONF.glob("*.yaml")}
    assert {get_method(config._target_) for config in configs.values()} == set(EVERY_MODEL)
    for config in configs.values():
        wanted = inspect.signature(get_method(config._target_)).parameters
        stated: Any = OmegaConf.to_container(config)
        del stated["_target_"]
        assert {name: tuple(value) for name, value in stated.items()} == {
            name: parameter.default for name, parameter in wanted.items() if parameter.default is not parameter.empty
        }
        from_data = {"in_shape": IMAGE, "n_in": 64, "n_out": N_OUT}
        net = instantiate(config, **{name: value for name, value in from_data.items() if name in wanted})
        assert net(torch.zeros(2, *IMAGE)).shape == (2, N_OUT)

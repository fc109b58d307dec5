"""State: saved and loaded both ways with torch in mid-training, pickled, copied; closures; refusals."""

import copy
import io
import pickle

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim

from .public import OPTIMIZERS

# one entry each, with every option that adds a tensor to the state
OPTIONS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.9, "centered": True, "weight_decay": 0.1},
    "Adam": {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.1, "amsgrad": True},
}
each_optimizer = pytest.mark.parametrize("name", OPTIONS)


def ours(name, params):
    return getattr(optim, name)(params, **OPTIONS[name])


def theirs(name, params):
    return getattr(torch.optim, name)(params, **OPTIONS[name])


def new_params():
    return [Parameter(torch.ones(3, 2, dtype=torch.float64)), Parameter(torch.zeros(2, dtype=torch.float64))]


def train(optimizer, steps):
    """Take the numbered steps, each on its own gradients: a run can be cut in two. Returns the parameters."""
    params = optimizer.param_groups[0]["params"]
    for t in steps:
        generator = torch.Generator().manual_seed(t)
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        optimizer.step()
    return params


def saved_and_loaded(state_dict):
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_every_public_optimizer_has_an_entry():
    assert set(OPTIONS) == set(OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize(
    ("first", "second"), [(ours, ours), (ours, theirs), (theirs, ours)], ids=["own", "to torch", "from torch"]
)
def test_state_dict_continues_training(name, first, second):
    saver = first(name, new_params())
    halfway = train(saver, range(10))
    loader = second(name, [Parameter(param.detach().clone()) for param in halfway])
    loader.load_state_dict(saved_and_loaded(saver.state_dict()))
    uninterrupted = train(theirs(name, new_params()), range(20))
    torch.testing.assert_close(train(loader, range(10, 20)), uninterrupted, rtol=1e-14, atol=1e-14)


@each_optimizer
@pytest.mark.parametrize("options", [{}, None], ids=["defaults", "all"])
def test_state_has_the_keys_types_and_values_of_torch(name, options):
    options = OPTIONS[name] if options is None else options
    pair = [getattr(package, name)(new_params(), **options) for package in (optim, torch.optim)]
    for optimizer in pair:
        train(optimizer, range(3))
    mine, reference = (optimizer.state_dict()["state"] for optimizer in pair)
    if name == "SGD" and not options:
        assert not any(mine.values())
        assert not any(reference.values())
    else:
        torch.testing.assert_close(mine, reference, rtol=1e-14, atol=1e-14)


@each_optimizer
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copy_trains_independently(name, copied):
    optimizer = ours(name, new_params())
    before = [param.detach().clone() for param in train(optimizer, range(5))]
    expected = train(theirs(name, new_params()), range(10))
    torch.testing.assert_close(train(copied(optimizer), range(5, 10)), expected, rtol=1e-14, atol=1e-14)
    assert all(torch.equal(a, b) for a, b in zip(optimizer.param_groups[0]["params"], before, strict=True))


@each_optimizer
def test_optimizers_that_loaded_one_state_dict_do_not_disturb_each_other(name):
    saver = ours(name, new_params())
    halfway = train(saver, range(5))
    loaders = [ours(name, [Parameter(param.detach().clone()) for param in halfway]) for _ in range(2)]
    for loader in loaders:
        loader.load_state_dict(saver.state_dict())
    expected = train(theirs(name, new_params()), range(10))
    for optimizer in [saver, *loaders]:
        torch.testing.assert_close(train(optimizer, range(5, 10)), expected, rtol=1e-14, atol=1e-14)


@each_optimizer
def test_reused_gradient_storage_does_not_reach_the_state(name):
    params = new_params()[:1], new_params()[:1]
    reusing, fresh = ours(name, params[0]), ours(name, params[1])
    params[0][0].grad = torch.zeros_like(params[0][0])
    for t in range(3):
        params[0][0].grad.fill_(t + 1)
        params[1][0].grad = torch.full_like(params[1][0], t + 1)
        reusing.step()
        fresh.step()
    assert torch.equal(params[0][0], params[1][0])


@each_optimizer
def test_closure_runs_with_gradients_and_its_loss_is_returned(name):
    params = new_params()[:1]
    optimizer = ours(name, params)

    def closure():
        optimizer.zero_grad()
        loss = params[0].square().sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(5)]
    assert losses[0] == 6
    assert losses[-1] < losses[0]
    assert optimizer.step() is None


@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize("foreach", [None, True, False])
def test_refuses_sparse_gradients_and_changes_nothing(name, foreach):
    embedding = torch.nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    optimizer, before = getattr(optim, name)(embedding.parameters(), foreach=foreach), embedding.weight.detach().clone()
    with pytest.raises(RuntimeError, match=r"does not support sparse gradients.*Make the layer with sparse=False"):
        optimizer.step()
    assert torch.equal(embedding.weight, before)
    assert all(state["step"] == 0 for state in optimizer.state.values())


@each_optimizer
@pytest.mark.parametrize("lr", [-1, float("nan")])
def test_refuses_a_bad_value_in_the_defaults_and_in_a_group(name, lr):
    message = f"lr must be >= 0, got {lr}"
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)(new_params(), lr=lr)
    optimizer = ours(name, new_params())
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": new_params(), "lr": lr})
    assert len(optimizer.param_groups) == 1

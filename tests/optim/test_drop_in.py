"""Everything around the arithmetic: signatures, groups, hooks, closures and schedulers are those of torch."""

import inspect
from typing import Any

import pytest
import torch
from torch.nn import Parameter
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from bakeoff import optim as ours

from .public import OPTIMIZERS

# one entry each, with every option that adds a tensor to the state
OPTIONS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "amsgrad": True, "weight_decay": 0.01},
    "AdamW": {"lr": 0.01, "amsgrad": True},
}
MODES = {"default": {}, "for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
OUR_OWN_KEYS = {"fused", "replicas"}
TOLERANCES: dict[torch.dtype, Any] = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
    torch.float32: {"rtol": 2e-5, "atol": 2e-6},
}

each_optimizer = pytest.mark.parametrize("name", OPTIONS)
each_mode = pytest.mark.parametrize("mode", MODES)
each_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


def of_ours(name, params, mode="default", **options):
    return getattr(ours, name)(params, **{**OPTIONS[name], **MODES[mode], **options})


def of_torch(name, params, mode="default", **options):
    chosen = {"foreach": False} if name == "RMSprop" and mode == "fused" else MODES[mode]
    return getattr(torch.optim, name)(params, **{**OPTIONS[name], **chosen, **options})


def new_net(dtype=torch.float64):
    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)).to(dtype)
    generator = torch.Generator().manual_seed(0)
    for param in net.parameters():
        param.data.copy_(torch.randn(param.shape, generator=generator, dtype=torch.float64) / 2)
    return net


def loss_of(net, t):
    """Cross-entropy on the t-th batch: a noisy teacher's labels."""
    generator = torch.Generator().manual_seed(t)
    inputs = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    labels = (inputs[:, :3] + 0.3 * torch.randn(8, 3, generator=generator, dtype=torch.float64)).argmax(1)
    return torch.nn.functional.cross_entropy(net(inputs.to(net[0].weight.dtype)), labels)


def train(net, optimizer, batches, scheduler=None):
    for t in batches:
        optimizer.zero_grad()
        loss = loss_of(net, t)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step(*[loss.detach()] * isinstance(scheduler, lr_scheduler.ReduceLROnPlateau))
    return net


def pair_of(name, mode="default", dtype=torch.float64, **options):
    nets = new_net(dtype), new_net(dtype)
    return nets, [
        make(name, net.parameters(), mode, **options) for make, net in zip((of_ours, of_torch), nets, strict=True)
    ]


def assert_same_nets(nets, dtype=torch.float64):
    torch.testing.assert_close(*(dict(net.named_parameters()) for net in nets), **TOLERANCES[dtype])


def assert_same_state_dicts(mine, reference, dtype=torch.float64, apart=()):
    """Torch's keys all there with torch's values; ours may add its own to a group. `apart` is not compared."""
    torch.testing.assert_close(mine["state"], reference["state"], **TOLERANCES[dtype])
    for group, wanted in zip(mine["param_groups"], reference["param_groups"], strict=True):
        assert set(group) - set(wanted) <= OUR_OWN_KEYS
        wanted = {key: value for key, value in wanted.items() if key not in apart}
        assert {key: group[key] for key in wanted} == wanted


def test_every_public_optimizer_has_an_entry():
    assert set(OPTIONS) == set(OPTIMIZERS)


# --- the class ---------------------------------------------------------------------------------------------------


@each_optimizer
def test_signature_is_that_of_torch(name):
    mine, theirs = (dict(inspect.signature(getattr(o, name)).parameters) for o in (ours, torch.optim))
    added = [mine[n] for n in list(mine)[len(theirs) :]]
    assert list(mine)[: len(theirs)] == list(theirs)
    assert [(p.kind, p.default) for p in mine.values()][: len(theirs)] == [(p.kind, p.default) for p in theirs.values()]
    assert {p.name for p in added} <= OUR_OWN_KEYS
    assert all(p.kind is p.KEYWORD_ONLY for p in added)
    assert "fused" in mine
    assert list(inspect.signature(getattr(ours, name).step).parameters) == ["self", "closure"]


@each_optimizer
def test_class_is_an_optimizer_with_the_defaults_and_repr_of_torchs(name):
    _, (mine, theirs) = pair_of(name)
    assert isinstance(mine, torch.optim.Optimizer)
    assert isinstance(mine, ours.Adam) == isinstance(theirs, torch.optim.Adam)
    assert {k: v for k, v in mine.defaults.items() if k in theirs.defaults} == theirs.defaults
    assert set(mine.defaults) - set(theirs.defaults) <= OUR_OWN_KEYS
    assert set(repr(theirs).splitlines()) <= set(repr(mine).splitlines())


@each_optimizer
def test_positional_arguments_mean_what_they_mean_in_torch(name):
    positional = {
        "SGD": (0.1, 0.9, 0, 0.01, True),
        "RMSprop": (0.02, 0.9, 1e-6, 0.01, 0.5, True, False, True, True, False),
        "Adam": (0.02, (0.8, 0.9), 1e-6, 0.01, True),
        "AdamW": (0.02, (0.8, 0.9), 1e-6, 0.01, True),
    }[name]
    nets = new_net(), new_net()
    pair = [getattr(o, name)(net.parameters(), *positional) for o, net in zip((ours, torch.optim), nets, strict=True)]
    for net, optimizer in zip(nets, pair, strict=True):
        train(net, optimizer, range(4))
    assert_same_nets(nets)
    assert_same_state_dicts(*(o.state_dict() for o in pair))


@each_optimizer
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
@pytest.mark.parametrize("mode", ["default", "for-loop", "fused"])
def test_learning_rate_in_a_tensor(name, shape, mode):
    """It is followed when it is changed in place, as schedulers change it."""
    ends = []
    for make in (of_ours, of_torch):
        params = [
            Parameter(torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(s)) for s in [(4, 6), (24,), (24, 1)]
        ]
        params.append(Parameter(torch.tensor(0.5, dtype=torch.float64)))
        rate = torch.full(shape, 0.02, dtype=torch.float64)
        optimizer = make(name, params, mode, lr=rate)
        for t in range(6):
            for param in params:
                param.grad = torch.cos(t + param.detach())
            optimizer.step()
            if t == 3:
                rate.fill_(0.005)
        ends.append(params)
    torch.testing.assert_close(*ends, **TOLERANCES[torch.float64])


@each_optimizer
@each_mode
def test_without_gradients_a_step_does_nothing(name, mode):
    net = new_net()
    optimizer = of_ours(name, net.parameters(), mode)
    optimizer.step()
    assert_same_nets([net, new_net()])
    assert optimizer.state_dict()["state"] == {}


@each_optimizer
@each_mode
@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(name, mode, set_to_none):
    net = new_net()
    optimizer = of_ours(name, net.parameters(), mode)
    loss_of(net, 0).backward()
    optimizer.zero_grad(set_to_none=set_to_none)
    grads = [param.grad for param in net.parameters()]
    assert all(grad is None if set_to_none else not grad.any() for grad in grads)


@each_optimizer
@each_mode
def test_parameters_and_state_stay_where_they_are(name, mode):
    """Who holds a tensor of the state (a graph, an average of weights) holds it after the next step too."""
    net = new_net()
    optimizer = of_ours(name, net.parameters(), mode)
    train(net, optimizer, range(2))
    before = [(p, p.data_ptr(), {k: (id(v), v.data_ptr()) for k, v in s.items()}) for p, s in optimizer.state.items()]
    train(net, optimizer, range(2, 4))
    for param, place, state in before:
        assert param.data_ptr() == place
        assert {k: (id(v), v.data_ptr()) for k, v in optimizer.state[param].items()} == state


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize(("name", "mode"), [(n, m) for n in OPTIONS for m in MODES if (n, m) != ("RMSprop", "fused")])
def test_default_dtype_decides_the_dtype_of_the_count(name, mode):
    nets, pair = pair_of(name, mode)
    for net, optimizer in zip(nets, pair, strict=True):
        train(net, optimizer, range(2))
    assert_same_state_dicts(*(o.state_dict() for o in pair))


@each_optimizer
def test_the_profiler_sees_the_step_under_torchs_name(name):
    net = new_net()
    optimizer = of_ours(name, net.parameters())
    with torch.autograd.profiler.profile() as profile:
        train(net, optimizer, range(1))
    names = {event.name for event in profile.function_events}
    assert {f"Optimizer.step#{name}.step", f"Optimizer.zero_grad#{name}.zero_grad"} <= names


# --- groups and hooks ----------------------------------------------------------------------------------------------


@each_optimizer
@each_mode
def test_groups_with_their_own_values_and_one_added_later(name, mode):
    nets, results = (new_net(), new_net()), []
    for make, net in zip((of_ours, of_torch), nets, strict=True):
        first, last = net[0], net[2]
        optimizer = make(
            name, [{"params": first.weight, "lr": 0.02, "weight_decay": 0.2}, {"params": [first.bias]}], mode
        )
        train(net, optimizer, range(3))
        optimizer.add_param_group({"params": last.parameters(), "lr": 0.004, "maximize": True})
        train(net, optimizer, range(3, 6))
        optimizer.param_groups[0]["weight_decay"] = 0
        optimizer.param_groups[1]["lr"] = 0.1
        train(net, optimizer, range(6, 9))
        results.append(optimizer.state_dict())
    assert_same_nets(nets)
    mine, reference = results
    assert_same_state_dicts(mine, reference, apart={"foreach"} if name == "RMSprop" and mode == "fused" else ())


@each_optimizer
def test_named_parameters(name):
    nets = new_net(), new_net()
    pair = [make(name, net.named_parameters()) for make, net in zip((of_ours, of_torch), nets, strict=True)]
    for net, optimizer in zip(nets, pair, strict=True):
        train(net, optimizer, range(3))
    assert_same_nets(nets)
    assert_same_state_dicts(*(o.state_dict() for o in pair))
    assert pair[0].param_groups[0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    unnamed = of_ours(name, new_net().parameters())
    unnamed.load_state_dict(pair[1].state_dict())
    assert unnamed.param_groups[0]["param_names"] == pair[0].param_groups[0]["param_names"]
    with pytest.raises(ValueError, match="with/without names"):
        pair[0].add_param_group({"params": [Parameter(torch.zeros(1))]})


@each_optimizer
def test_bad_parameters_are_refused_with_torchs_message(name):
    leaf = torch.ones(2, requires_grad=True)
    cases = [
        ([], ValueError, "empty parameter list"),
        ([leaf * 2], ValueError, "can't optimize a non-leaf Tensor"),
        ([1.0], TypeError, "optimizer can only optimize Tensors"),
        ([{"params": {leaf}}], TypeError, "ordered collections"),
    ]
    for params, error, text in cases:
        with pytest.raises(error, match=text):
            of_ours(name, params)


@each_optimizer
def test_flags_that_exclude_each_other_are_refused_with_torchs_message(name):
    cases = [
        ({"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together"),
        ({"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ]
    for flags, text in cases:
        with pytest.raises(RuntimeError, match=text):
            of_ours(name, new_net().parameters(), **flags)


@each_optimizer
def test_fused_refuses_parameters_on_meta_with_torchs_message(name):
    """On "meta"; once they are there the same optimizer takes its steps."""
    with torch.device("meta"):
        net = torch.nn.Linear(3, 2)
    optimizer = of_ours(name, net.parameters(), "fused")
    for param in net.parameters():
        param.grad = torch.empty_like(param)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating point Tensors of"):
        optimizer.step()
    optimizer.zero_grad()
    net.to_empty(device="cpu")
    for param in net.parameters():
        param.grad = torch.ones_like(param)
    optimizer.step()


@each_optimizer
def test_step_hooks_run_in_torchs_order_and_can_be_removed(name):
    def calls_of(make):
        net = new_net()
        calls: list = []
        optimizer = make(name, net.parameters())

        def recorder(what):
            return lambda o, args, kwargs: calls.append((what, o is optimizer, len(args), sorted(kwargs)))

        handles = [
            register_optimizer_step_pre_hook(recorder("every optimizer's, before")),
            register_optimizer_step_post_hook(recorder("every optimizer's, after")),
            optimizer.register_step_pre_hook(recorder("its own, before")),
            optimizer.register_step_post_hook(recorder("its own, after")),
        ]
        try:
            train(net, optimizer, range(2))
            optimizer.step(closure=lambda: calls.append("closure"))
        finally:
            for handle in handles:
                handle.remove()
        train(net, optimizer, range(2, 4))
        return calls

    assert calls_of(of_ours) == calls_of(of_torch)
    assert len(calls_of(of_ours)) == 3 * 4 + 1


@each_optimizer
def test_a_step_pre_hook_may_give_other_arguments(name):
    net = new_net()
    optimizer = of_ours(name, net.parameters())
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 17.0), {}))
    assert optimizer.step() == 17


@each_optimizer
def test_state_dict_hooks_run_in_torchs_order(name):
    def calls_of(make):
        calls, optimizer = [], make(name, (net := new_net()).parameters())
        train(net, optimizer, range(1))
        for prepend in (False, True):
            optimizer.register_state_dict_pre_hook(lambda o, p=prepend: calls.append(("save", p)), prepend)
            optimizer.register_load_state_dict_post_hook(lambda o, p=prepend: calls.append(("loaded", p)), prepend)
        optimizer.register_state_dict_post_hook(lambda o, d: {**d, "note": len(d["state"])})
        optimizer.register_load_state_dict_pre_hook(lambda o, d: calls.append(d["note"]))
        optimizer.load_state_dict(optimizer.state_dict())
        return calls

    assert (
        calls_of(of_ours)
        == calls_of(of_torch)
        == [("save", True), ("save", False), 4, ("loaded", True), ("loaded", False)]
    )


@each_optimizer
@each_mode
def test_closure_is_called_with_gradients_on_before_the_step(name, mode):
    nets, pair = pair_of(name, mode)
    for net, optimizer in zip(nets, pair, strict=True):

        def closure(net=net, optimizer=optimizer):
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            loss = loss_of(net, 0)
            loss.backward()
            return loss

        with torch.no_grad():
            losses = [optimizer.step(closure).item() for _ in range(5)]
            assert not torch.is_grad_enabled()
        assert losses[-1] < losses[0]
        assert optimizer.step() is None
    assert_same_nets(nets)


# --- schedulers ----------------------------------------------------------------------------------------------------

SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, gamma=0.3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5], gamma=0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, total_iters=4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=6),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 8, power=2),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5, eta_min=1e-4),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=0),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 0.05, step_size_up=2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=11),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.8)], [3]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, total_iters=3), lr_scheduler.ExponentialLR(o, 0.8)], o
    ),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.03, anneal_epochs=4),
}


@each_optimizer
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("mode", ["default", "fused", "tensor lr"])
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step.*:UserWarning")  # SequentialLR's own call
def test_schedulers_drive_ours_as_they_drive_torchs(name, scheduler, mode):
    """CyclicLR and OneCycleLR change the momentum, or the first beta, with the rate."""
    nets, pair = (new_net(), new_net()), []
    for make, net in zip((of_ours, of_torch), nets, strict=True):
        options = {"lr": torch.tensor(0.02, dtype=torch.float64)} if mode == "tensor lr" else {}
        optimizer = make(name, net.parameters(), "default" if options else mode, **options)
        train(net, optimizer, range(10), SCHEDULERS[scheduler](optimizer))
        pair.append(optimizer)
    assert_same_nets(nets)
    for key in ("lr", "momentum", "betas"):
        values = [optimizer.param_groups[0].get(key) for optimizer in pair]
        assert values[0] == values[1]

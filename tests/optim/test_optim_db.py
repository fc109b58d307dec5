"""Every input with which PyTorch tests its own SGD, RMSprop, Adam and AdamW (`optim_db`): ours against torch's.

Where torch refuses an input, ours must refuse it with the same type of error and with torch's text first; but what
torch refuses only if fused=True (complex parameters, sparse gradients) ours may take, and then as the for-loop does.
"""

import copy
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
import torch

from bakeoff import optim as ours

from .public import OPTIMIZERS

# In a process of its own: importing the table locks torch.backends' flags, which Lightning sets. The table needs of
# `expecttest`, which torch does not bring, the name of one base class alone.
PROGRAM = """
import sys, types, unittest

expecttest = types.ModuleType("expecttest")
expecttest.TestCase = unittest.TestCase
sys.modules["expecttest"] = expecttest
import torch
from torch.testing._internal.common_optimizers import optim_db


def entry(info, device):
    inputs = [(i.desc, i.kwargs) for i in info.optim_inputs_func(device)]
    refused = [
        (e.optimizer_error_input.desc, e.optimizer_error_input.params, e.optimizer_error_input.kwargs)
        + (e.error_on.name, e.error_type, e.error_regex)
        for e in info.optim_error_inputs_func(device, torch.float32)
    ]
    return {
        "inputs": inputs,
        "refused": refused,
        "fused": device in info.supports_fused_on,
        "complex": info.supports_complex,
        "sparse": info.metadata_for_sparse[0] if info.supports_sparse else None,
    }


names, devices = sys.argv[2].split(","), sys.argv[3].split(",")
table = {device: {i.name: entry(i, device) for i in optim_db if i.name in names} for device in devices}
torch.save(table, sys.argv[1])
"""

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
MODES = {
    "default": {},
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "not fused": {"fused": False},
    "differentiable": {"differentiable": True},
    "capturable": {"capturable": True},
}
TOLERANCES = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-13},
    torch.complex128: {"rtol": 1e-12, "atol": 1e-13},
    torch.float32: {"rtol": 1e-5, "atol": 1e-6},
    torch.complex64: {"rtol": 1e-5, "atol": 1e-6},
}
# the same to single precision: there torch itself counts steps, and keeps a learning rate, in float32 tensors
CAPTURABLE = {"rtol": 1e-5, "atol": 1e-6}
OUR_OWN_KEYS = {"fused", "replicas"}

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
each_device = pytest.mark.parametrize("device", DEVICES)
each_mode = pytest.mark.parametrize(
    ("name", "mode"), [(n, m) for n in OPTIMIZERS for m in MODES if (n, m) != ("SGD", "capturable")]
)


class Refusal(NamedTuple):
    """What an optimizer raised where it was built or stepped."""

    error: type[BaseException]
    message: str


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("optim_db") / "table.pt"
    arguments = [str(path), ",".join(OPTIMIZERS), ",".join(DEVICES)]
    result = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return torch.load(path, weights_only=False)


def random_tensors(dtype, device, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 2), (4,), (), (1,), (0,), (2, 0, 3), (2, 3, 4, 5), (17,)]
    double = torch.complex128 if dtype.is_complex else torch.float64
    tensors = [torch.randn(shape, generator=generator, dtype=double).to(device, dtype) for shape in shapes]
    return [t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in tensors]


def trained(optimizer_class, kwargs, dtype, device, *, requires_grad=True, steps=7):
    """The optimizer after some steps on gradients that its seed alone decides, or its refusal."""
    params = [t.requires_grad_(requires_grad) for t in random_tensors(dtype, device, seed=0)]
    try:
        optimizer = optimizer_class(params, **copy.deepcopy(kwargs))
        for t in range(steps):
            for param, grad in zip(params, random_tensors(dtype, device, seed=1 + t), strict=True):
                param.grad = grad
            optimizer.step()
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        return Refusal(type(error), str(error))
    return optimizer


def same_refusal(mine, reference):
    """The same type of error, and torch's text first."""
    if not (isinstance(mine, Refusal) and isinstance(reference, Refusal)):
        return False
    return mine.error is reference.error and mine.message.startswith(reference.message)


def assert_same(mine, reference, what, *, same_flags, **tolerances):
    """The parameters and the state dict: keys, types, values; with the same flags, also devices and the flags."""
    if isinstance(mine, Refusal) or isinstance(reference, Refusal):
        assert same_refusal(mine, reference), f"{what}: torch's {reference}, ours {mine}"
        return
    for part in ("params", "state"):
        a, b = (o.param_groups[0]["params"] if part == "params" else o.state_dict()["state"] for o in (mine, reference))
        torch.testing.assert_close(a, b, check_device=same_flags, **tolerances, msg=f"{what}, {part}: ".__add__)
    for group, wanted in zip(*(o.state_dict()["param_groups"] for o in (mine, reference)), strict=True):
        assert set(group) - set(wanted) <= OUR_OWN_KEYS, what
        if not same_flags:
            wanted = {key: value for key, value in wanted.items() if key not in ("foreach", "fused")}
        assert {key: group[key] for key in wanted} == wanted, what


def test_the_table_has_an_entry_for_every_optimizer(table):
    for device in DEVICES:
        assert set(table[device]) == set(OPTIMIZERS)
        assert all(entry["inputs"] and entry["complex"] for entry in table[device].values())


@pytest.fixture
def count_in_double():
    """Then torch's own bias corrections are in float64 too, where they are computed from the count as a tensor."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def of_torch(name, mode, kwargs, dtype, refused):
    """The class of torch's, and its arguments, that say what ours should have done."""
    if name == "RMSprop" and mode == "fused" and refused:
        return torch.optim.Adam, {"fused": True}  # which says in torch's words what fused=True refuses
    if mode == "fused" and (name == "RMSprop" or (dtype.is_complex and not refused)):
        return getattr(torch.optim, name), {**kwargs, "foreach": False}
    if name == "RMSprop" and mode == "not fused":
        return torch.optim.RMSprop, kwargs
    return getattr(torch.optim, name), {**kwargs, **MODES[mode]}


@each_device
@each_mode
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_replays_torch(table, device, name, mode, dtype, request):
    requires_grad = mode != "differentiable"
    if not requires_grad:
        request.getfixturevalue("count_in_double")
    for desc, kwargs in table[device][name]["inputs"]:
        asked = {**kwargs, **MODES[mode]}
        mine = trained(getattr(ours, name), asked, dtype, device, requires_grad=requires_grad)
        theirs, wanted = of_torch(name, mode, kwargs, dtype, isinstance(mine, Refusal))
        reference = trained(theirs, wanted, dtype, device, requires_grad=requires_grad)
        tolerances = CAPTURABLE if asked.get("capturable") else TOLERANCES[dtype]
        assert_same(mine, reference, desc, same_flags=asked == wanted, **tolerances)


@each_device
@each_optimizer
@pytest.mark.parametrize("mode", ["default", "for-loop", "foreach", "fused"])
def test_dtypes_side_by_side(table, device, name, mode):
    dtypes = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

    def several(optimizer_class, kwargs):
        params = [t.requires_grad_() for dtype in dtypes for t in random_tensors(dtype, device, seed=0)]
        optimizer = optimizer_class(params, **copy.deepcopy(kwargs))
        for t in range(3):
            for dtype, i in zip(dtypes, range(0, len(params), len(params) // len(dtypes)), strict=True):
                for param, grad in zip(params[i:], random_tensors(dtype, device, seed=1 + t), strict=False):
                    param.grad = grad
            optimizer.step()
        return optimizer

    for desc, kwargs in table[device][name]["inputs"]:
        if isinstance(kwargs.get("lr"), torch.Tensor) and mode == "foreach" and not kwargs.get("capturable"):
            continue  # refused: test_replays_torch
        kwargs = {"eps": 1e-2, **kwargs} if name != "SGD" else kwargs  # 1e-8 is 0 in float16
        new_in_ours = name == "RMSprop" and mode == "fused"
        mine = several(getattr(ours, name), {**kwargs, **MODES[mode]})
        reference = several(
            getattr(torch.optim, name), {**kwargs, **({"foreach": False} if new_in_ours else MODES[mode])}
        )
        for a, b in zip(mine.param_groups[0]["params"], reference.param_groups[0]["params"], strict=True):
            tolerance = 8 * torch.finfo(a.dtype).eps
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=f"{desc}: ".__add__)


# what torch's own take a slope in: tensors, one or a pair
HYPERPARAMETERS = {"lr": 0.1, "weight_decay": 0.2, "betas": (0.8, 0.9)}
SLOPES = [
    *((name, None) for name in OPTIMIZERS),
    *((name, key) for name in ("SGD", "Adam", "AdamW") for key in ("lr", "weight_decay")),
    *((name, "betas") for name in ("Adam", "AdamW")),
]


@each_device
@pytest.mark.usefixtures("count_in_double")
@pytest.mark.parametrize(("name", "hyperparameter"), SLOPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_differentiates_as_torch_does(table, device, name, hyperparameter, dtype):
    """The slope of where a step leads: in the weights before it, in the gradients, and in a hyperparameter."""

    def slopes(optimizer_class, kwargs):
        warm = trained(optimizer_class, kwargs, dtype, device, requires_grad=False, steps=2)
        starts, grads = ([t.requires_grad_() for t in random_tensors(dtype, device, seed)] for seed in (3, 4))
        params = [start.clone() for start in starts]
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()  # torch's SGD and Adam write a tensor weight_decay's share into it
        options, tensors = {**kwargs, "differentiable": True}, []
        if hyperparameter:
            values = torch.tensor(HYPERPARAMETERS[hyperparameter], dtype=torch.float64, device=device)
            tensors = [value.clone().requires_grad_() for value in values.reshape(-1)]
            options[hyperparameter] = tuple(tensors) if hyperparameter == "betas" else tensors[0]
        optimizer = optimizer_class(params, **options)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": warm.state_dict()["state"]})
        optimizer.param_groups[0].update(options)  # load_state_dict deep-copies them
        optimizer.step()
        goal = sum(p.abs().square().sum() for p in params)
        return torch.autograd.grad(goal, [*starts, *grads, *tensors], materialize_grads=True)

    for desc, kwargs in table[device][name]["inputs"]:
        if kwargs.get("capturable"):
            continue
        kwargs = copy.deepcopy(kwargs)
        mine, reference = (slopes(getattr(package, name), kwargs) for package in (ours, torch.optim))
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-9, msg=f"{desc}: ".__add__)


def params_or(given, device):
    return [torch.nn.Parameter(torch.ones(2, 3, device=device)) for _ in range(2)] if given is None else given


@each_device
@each_optimizer
def test_refuses_what_torch_refuses(table, device, name):
    refused = table[device][name]["refused"]
    assert refused or device != "cpu"
    for _desc, params, kwargs, when, error, text in refused:
        construct = getattr(ours, name)
        if issubclass(error, Warning):
            with pytest.warns(error, match=text):
                construct(params_or(params, device), **kwargs)
        elif when == "CONSTRUCTION_ERROR":
            with pytest.raises(error, match=text):
                construct(params_or(params, device), **kwargs)
        else:
            optimizer = construct(params_or(params, device), **kwargs)
            for param in optimizer.param_groups[0]["params"]:
                param.grad = torch.rand_like(param)
            with pytest.raises(error, match=text):
                optimizer.step()


SPARSE: dict[str, dict[str, Any]] = {
    "of torch's test": {},
    "maximize": {"maximize": True},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay": {"weight_decay": 0.1},
}


@each_device
@each_optimizer
@pytest.mark.parametrize("mode", ["default", "for-loop", "foreach", "fused"])
@pytest.mark.parametrize("coalesced", [True, False], ids=["coalesced", "uncoalesced"])
def test_sparse_gradients(table, device, name, mode, coalesced):
    """SGD takes them as torch's does, the others refuse them in torch's words."""

    def sparse_steps(optimizer_class, kwargs):
        generator = torch.Generator().manual_seed(0)
        param = torch.randn(6, 2, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        try:
            optimizer = optimizer_class([param], **kwargs)
            for _ in range(4):
                rows = torch.randint(6, (1, 4), generator=generator)
                values = torch.randn(4, 2, generator=generator, dtype=torch.float64)
                grad = torch.sparse_coo_tensor(rows, values, (6, 2), device=device, check_invariants=True)
                param.grad = grad.coalesce() if coalesced else grad
                optimizer.step()
        except (RuntimeError, NotImplementedError) as error:
            return Refusal(type(error), str(error))
        return param.detach()

    base = table[device][name]["sparse"]
    for desc, extra in SPARSE.items() if base is not None else [("refused", {})]:
        kwargs = {**(base or {}), **extra}
        mine = sparse_steps(getattr(ours, name), {**kwargs, **MODES[mode]})
        theirs = getattr(torch.optim, name)
        reference = sparse_steps(theirs, {} if name == "RMSprop" else {**kwargs, **MODES[mode]})
        if mode == "fused" and not same_refusal(mine, reference):
            reference = sparse_steps(theirs, {**kwargs, "foreach": False})
        if isinstance(reference, Refusal):
            assert same_refusal(mine, reference), f"{desc}: torch raised {reference}, ours: {mine}"
        else:
            assert not isinstance(mine, Refusal), f"{desc}: {mine}"
            torch.testing.assert_close(mine, reference, msg=f"{desc}: ".__add__)

"""Which implementation each tensor is dispatched to."""

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _dispatch, _verify
from bakeoff.optim._dispatch import Implementation, dispatch

from .public import OPTIMIZERS

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}


pytestmark = pytest.mark.usefixtures("c_compiler")


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(_dispatch, "_verified", {})
    monkeypatch.setattr(_verify, "_warned", set())


def params(dtype=torch.float32):
    made = [Parameter(torch.linspace(-1, 1, n).to(dtype)) for n in (5, 64, 67)]
    for param in made:
        param.grad = torch.ones_like(param)
    return made


@torch.no_grad()
def parts_of(optimizer):
    group = optimizer.param_groups[0]
    return [part for tensors in optimizer._gather(group) for part in dispatch(optimizer, tensors, group)]


def implementations_of(optimizer):
    """Implementation -> number of parameters."""
    counts: dict[Implementation, int] = {}
    for part in parts_of(optimizer):
        counts[part.implementation] = counts.get(part.implementation, 0) + len(part.tensors)
    return counts


@each_optimizer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_plain_tensors_on_the_cpu_use_kernels_unless_a_flag_says_otherwise(name, dtype):
    make, eps = getattr(optim, name), {} if name == "SGD" else {"eps": 1e-3}
    has_kernel = name != "RMSprop" or dtype.itemsize > 2  # the one in C does not know half precision
    default = Implementation.FUSED if has_kernel else Implementation.DEFINITION
    assert implementations_of(make(params(dtype), **eps)) == {default: 3}
    assert implementations_of(make(params(dtype), **eps, fused=True)) == {default: 3}
    assert implementations_of(make(params(dtype), **eps, foreach=True)) == {Implementation.FOREACH: 3}
    for flag in ({"foreach": False}, {"fused": False}, {"differentiable": True}):
        assert implementations_of(make(params(dtype), **eps, **flag)) == {Implementation.DEFINITION: 3}


def test_fused_without_a_kernel_warns_once_and_uses_the_definition(caplog):
    """Half precision is then rounded once a step, by the definition; it is said once."""
    for _ in range(2):
        implementations_of(optim.RMSprop(params(torch.bfloat16), fused=True))
    [record] = caplog.records
    expected = "fused=True: RMSprop has no fused implementation for torch.bfloat16 on cpu; it uses the definition"
    assert record.message == expected
    caplog.clear()
    implementations_of(optim.RMSprop(params(torch.bfloat16)))
    assert caplog.text == ""


@each_optimizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_without_kernels_single_precision_uses_lists(name, dtype, monkeypatch):
    make = getattr(optim, name)
    monkeypatch.setattr(make, "_kernels", lambda self, tensors, group: ())
    expected = Implementation.FOREACH if dtype == torch.float32 else Implementation.DEFINITION
    assert implementations_of(make(params(dtype))) == {expected: 3}


@each_optimizer
def test_only_dense_and_equally_strided_tensors_use_kernels(name, caplog):
    image = torch.zeros(2, 3, 4, 4)
    last = image.to(memory_format=torch.channels_last)
    layouts = [  # parameter, gradient, fit
        (torch.zeros(3, 4), torch.zeros(3, 4), True),
        (torch.zeros(4, 3).T, torch.zeros(4, 3).T, True),
        (last.clone(), last.clone(), True),
        (torch.zeros(3, 4), torch.zeros(4, 3).T, False),
        (last.clone(), image.clone(), False),
        (torch.zeros(3, 8)[:, ::2], torch.zeros(3, 4), False),
        (torch.zeros(3, 8)[:, :4], torch.zeros(3, 8)[:, :4], False),
        (torch.zeros(4), torch.zeros(()).expand(4), False),
    ]
    made = [Parameter(param) for param, _, _ in layouts]
    for param, (_, grad, _) in zip(made, layouts, strict=True):
        param.grad = grad
    fit = sum(fits for _, _, fits in layouts)
    assert implementations_of(getattr(optim, name)(made)) == {
        Implementation.FUSED: fit,
        Implementation.DEFINITION: len(layouts) - fit,
    }
    assert caplog.text == ""
    for _ in range(2):
        implementations_of(getattr(optim, name)(made, fused=True))
    assert caplog.text.count("some tensors are not plain, dense and equally strided") == 1


@each_optimizer
def test_state_with_other_strides_than_its_parameter_uses_the_definition(name):
    param = Parameter(torch.zeros(3, 4))
    param.grad = torch.ones(3, 4)
    optimizer = getattr(optim, name)([param], **OPTIONS[name])
    optimizer.step()
    assert implementations_of(optimizer) == {Implementation.FUSED: 1}
    state = optimizer.state[param]
    key = next(key for key in state if key != "step")
    state[key] = state[key].T.contiguous().T
    assert implementations_of(optimizer) == {Implementation.DEFINITION: 1}


def test_dtypes_never_share_a_kernel_call():
    made = [Parameter(torch.ones(70_000, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    for param in made:
        param.grad = torch.ones_like(param)
    optimizer = optim.RMSprop(made)
    dtypes = [[p.dtype for p in part.tensors.params] for part in parts_of(optimizer)]
    assert dtypes == [[torch.float32], [torch.float64]]
    optimizer.step()
    torch.testing.assert_close(made[0].double(), made[1])


def test_state_of_another_dtype_of_the_same_size_uses_the_definition():
    param = Parameter(torch.ones(67, dtype=torch.float16))
    param.grad = torch.ones_like(param)
    optimizer = optim.Adam([param], eps=1e-3)
    optimizer.step()
    optimizer.state[param]["exp_avg"] = optimizer.state[param]["exp_avg"].bfloat16()
    assert implementations_of(optimizer) == {Implementation.DEFINITION: 1}

"""The one eligibility check: who goes which way, and that a kernel that is gone or wrong is not taken."""

import logging

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _trial, _ways
from bakeoff.optim._ways import Way, plan

each_optimizer = pytest.mark.parametrize("name", optim.__all__)
OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}
KERNELS = {"SGD": "_fused_sgd_", "RMSprop": "_fused_adam_", "Adam": "_fused_adam_", "AdamW": "_fused_adamw_"}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(_ways, "_agreed", {})
    monkeypatch.setattr(_trial, "_said", set())


def params(dtype=torch.float32):
    made = [Parameter(torch.linspace(-1, 1, n).to(dtype)) for n in (5, 64, 67)]
    for param in made:
        param.grad = torch.ones_like(param)
    return made


@torch.no_grad()
def taken(optimizer):
    group = optimizer.param_groups[0]
    counts = {}
    for tensors in optimizer._gather(group):
        for part in plan(optimizer, tensors, group):
            counts[part.way] = counts.get(part.way, 0) + len(part.tensors)
    return counts


@each_optimizer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_plain_tensors_on_the_cpu_take_the_kernels_unless_told_otherwise(name, dtype):
    make, eps = getattr(optim, name), {} if name == "SGD" else {"eps": 1e-3}
    assert taken(make(params(dtype), **eps)) == {Way.FUSED: 3}
    assert taken(make(params(dtype), **eps, fused=True)) == {Way.FUSED: 3}
    assert taken(make(params(dtype), **eps, foreach=True)) == {Way.FOREACH: 3}
    for told in ({"foreach": False}, {"fused": False}, {"differentiable": True}):
        assert taken(make(params(dtype), **eps, **told)) == {Way.DEFINITION: 3}


@each_optimizer
def test_only_what_is_dense_and_equally_strided_takes_the_kernels(name, caplog):
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
    assert taken(getattr(optim, name)(made)) == {Way.FUSED: fit, Way.DEFINITION: len(layouts) - fit}
    assert caplog.text == ""
    for _ in range(2):
        taken(getattr(optim, name)(made, fused=True))
    assert caplog.text.count("some tensors are not plain, dense and equally strided") == 1


@each_optimizer
def test_state_of_other_strides_than_its_parameter_goes_by_the_definition(name):
    param = Parameter(torch.zeros(3, 4))
    param.grad = torch.ones(3, 4)
    optimizer = getattr(optim, name)([param], **OPTIONS[name])
    optimizer.step()
    assert taken(optimizer) == {Way.FUSED: 1}
    state = optimizer.state[param]
    key = next(key for key in state if key != "step")
    state[key] = state[key].T.contiguous().T
    assert taken(optimizer) == {Way.DEFINITION: 1}


def gone(*_, **__):
    raise RuntimeError("no such operator")


def halved(real):
    """A kernel that takes half a step."""

    def kernel(targets, *lists, **options):
        before = [target.clone() for target in targets]
        real(targets, *lists, **options)
        for target, old in zip(targets, before, strict=True):
            target.copy_((target + old) / 2)

    return kernel


@each_optimizer
@pytest.mark.parametrize("fault", ["gone", "absent", "wrong"])
def test_a_kernel_that_is_gone_or_wrong_is_not_taken_and_that_is_said_once(name, fault, monkeypatch, caplog):
    kernel = KERNELS[name]
    if fault == "absent":
        monkeypatch.delattr(torch, kernel)
    else:
        monkeypatch.setattr(torch, kernel, gone if fault == "gone" else halved(getattr(torch, kernel)))
    ours, theirs = params(), params()
    optimizer = getattr(optim, name)(ours, **OPTIONS[name])
    reference = getattr(torch.optim, name)(theirs, foreach=False, **OPTIONS[name])
    with caplog.at_level(logging.WARNING, logger="bakeoff.optim"):
        for _ in range(3):
            optimizer.step()
            reference.step()
    torch.testing.assert_close(ours, theirs)
    [record] = caplog.records
    said = "differs from the definition" if fault == "wrong" else "cannot be used"
    assert said in record.message
    assert torch.__version__ in record.message


def test_rmsprops_late_adam_may_write_in_no_other_order(monkeypatch):
    """The moment lies where the parameter does: a kernel that writes the moment last must be found out."""
    real = torch._fused_adam_

    def moments_last(targets, grads, moments, *lists, **options):
        apart = [torch.zeros_like(moment) for moment in moments]
        real(targets, grads, apart, *lists, **options)
        for moment, value in zip(moments, apart, strict=True):
            moment.copy_(value)

    monkeypatch.setattr(torch, "_fused_adam_", moments_last)
    ours, theirs = params(), params()
    optimizer, reference = optim.RMSprop(ours), torch.optim.RMSprop(theirs, foreach=False)
    optimizer.step()
    reference.step()
    torch.testing.assert_close(ours, theirs)


def test_rmsprops_late_adam_needs_threads_to_part_whole_vectors(monkeypatch):
    """A kernel whose threads share a tensor out by elements has a remainder in its middle: that too is found out."""
    real = torch._fused_adam_

    def by_thirds(*lists, **options):
        *of_params, maxima, steps = lists
        parts = [[part for t in tensors for part in t.view(-1).split((t.numel() + 2) // 3)] for tensors in of_params]
        real(*parts, maxima, [steps[0]] * len(parts[0]), **options)

    def long_params():
        made = [Parameter(torch.linspace(-1, 1, 16 * 1000))]
        made[0].grad = torch.ones_like(made[0])
        return made

    monkeypatch.setattr(torch, "_fused_adam_", by_thirds)
    ours, theirs = long_params(), long_params()
    optimizer, reference = optim.RMSprop(ours), torch.optim.RMSprop(theirs, foreach=False)
    optimizer.step()
    reference.step()
    torch.testing.assert_close(ours, theirs)


def test_kernels_are_tried_once_for_each_kind_of_step(monkeypatch):
    tried = []
    real = torch._fused_adam_
    monkeypatch.setattr(torch, "_fused_adam_", lambda *a, **k: (tried.append(len(a[0])), real(*a, **k)))
    optimizer = optim.Adam(params())
    for _ in range(4):
        optimizer.step()
    assert tried == [3, 3, 3, 3, 3]
    optimizer.param_groups[0]["weight_decay"] = 0.1
    optimizer.step()
    assert tried[5:] == [3, 3]

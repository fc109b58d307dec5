"""A kernel is compared with the definition before its first use; one that is missing or wrong is not used."""

import logging

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _dispatch, _native, _verify

from .public import OPTIMIZERS

OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}
KERNELS = {
    "SGD": (torch, "_fused_sgd_"),
    "RMSprop": (_native, "rmsprop"),
    "Adam": (torch, "_fused_adam_"),
    "AdamW": (torch, "_fused_adamw_"),
}

pytestmark = pytest.mark.usefixtures("c_compiler")


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(_dispatch, "_verified", {})
    monkeypatch.setattr(_verify, "_warned", set())


def params():
    made = [Parameter(torch.linspace(-1, 1, n)) for n in (5, 64, 67)]
    for param in made:
        param.grad = torch.ones_like(param)
    return made


def removed(*_, **__):
    raise RuntimeError("no such operator")


def halved(real):
    """A kernel that takes half a step."""

    def kernel(first, *others, **options):
        targets = first if isinstance(first, list) else first.params
        before = [target.clone() for target in targets]
        real(first, *others, **options)
        for target, old in zip(targets, before, strict=True):
            target.copy_((target + old) / 2)

    return kernel


@pytest.mark.parametrize(
    ("name", "fault"),
    # RMSprop's kernel is ours; without a compiler for it: test_native.py
    [(n, f) for n in OPTIMIZERS for f in ("raises", "absent", "wrong") if (n, f) != ("RMSprop", "absent")],
)
def test_a_missing_or_wrong_kernel_is_not_used_with_one_warning(name, fault, monkeypatch, caplog):
    module, kernel = KERNELS[name]
    if fault == "absent":
        monkeypatch.delattr(module, kernel)
    else:
        monkeypatch.setattr(module, kernel, removed if fault == "raises" else halved(getattr(module, kernel)))
    ours, theirs = params(), params()
    optimizer = getattr(optim, name)(ours, **OPTIONS[name])
    reference = getattr(torch.optim, name)(theirs, foreach=False, **OPTIONS[name])
    with caplog.at_level(logging.WARNING, logger="bakeoff.optim"):
        for _ in range(3):
            optimizer.step()
            reference.step()
    torch.testing.assert_close(ours, theirs)
    [record] = caplog.records
    expected = "differs from the definition" if fault == "wrong" else "cannot be used"
    assert expected in record.message
    assert torch.__version__ in record.message


def test_a_kernel_is_verified_once_for_each_kind_of_step(monkeypatch):
    calls, real = [], torch._fused_adam_

    def counted(params, *lists, **options):
        calls.append(len(params))
        real(params, *lists, **options)

    monkeypatch.setattr(torch, "_fused_adam_", counted)
    optimizer = optim.Adam(params())
    for _ in range(4):
        optimizer.step()
    assert calls == [3, 3, 3, 3, 3]
    optimizer.param_groups[0]["weight_decay"] = 0.1
    optimizer.step()
    assert calls[5:] == [3, 3]


def test_the_result_does_not_depend_on_the_first_hyperparameters(caplog):
    for alpha in (0.0, 0.9):
        param = Parameter(torch.ones(67))
        param.grad = torch.ones(67)
        optim.RMSprop([param], alpha=alpha, centered=True, lr=0.0).step()
    assert caplog.text == ""

"""An option that an optimizer takes by `**kwargs` and ignores is refused; one that it passes on is not."""

import functools

import pytest
import torch

from bakeoff.errors import UserError
from bakeoff.train.unread_arguments import refuse_unread_arguments


class Ignores(torch.optim.SGD):
    def __init__(self, params, lr, momentum=0.0, **others):
        super().__init__(params, lr, momentum)


class PassesOn(torch.optim.SGD):
    def __init__(self, params, **options):
        super().__init__(params, **options)


class TakesLocals(torch.optim.SGD):
    def __init__(self, params, lr, **options):
        given = locals()
        super().__init__(params, lr, **given["options"])


def passes_on(init):
    @functools.wraps(init)
    def wrapper(self, params, **options):
        init(self, params, options.pop("lr"))
        self.defaults.update(options)

    return wrapper


class IsWrapped(torch.optim.SGD):
    @passes_on
    def __init__(self, params, lr, **options):
        super().__init__(params, lr)


def check(kind, **options):
    refuse_unread_arguments("optimizer", {"_target_": f"{__name__}.{kind}", "_partial_": True, **options})


def test_an_option_that_is_ignored_is_refused():
    check("Ignores", lr=0.1, momentum=0.9)
    with pytest.raises(
        UserError, match=r"^nothing reads optimizer\.momentm: Ignores ignores it \(did you mean momentum"
    ):
        check("Ignores", lr=0.1, momentm=0.9)


@pytest.mark.parametrize("kind", ["PassesOn", "TakesLocals", "IsWrapped", "Missing"])
def test_what_may_be_read_is_not(kind):
    check(kind, lr=0.1, nesterov=True)


@pytest.mark.parametrize("target", ["torch.optim.SGD", "bakeoff.optim.Adam"])
def test_what_takes_named_options_alone_refuses_others_itself(target):
    refuse_unread_arguments("optimizer", {"_target_": target, "lr": 0.1, "momentm": 0.9})


def test_it_is_refused_before_a_run(make_run):
    with pytest.raises(UserError, match=r"nothing reads optimizer\.others: Ignores ignores it"):
        make_run(f"optimizer._target_={__name__}.Ignores", "optimizer.lr=0.1", "+optimizer.others=1")

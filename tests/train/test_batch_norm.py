"""BatchNorm and a last batch of one sample: refused before training, and only where it would fail."""

import pytest
import torch
from torch import nn

from bakeoff.errors import UserError

FAST = ("budget.steps=1", "budget.validations=1")


class Normed(nn.Sequential):
    """BatchNorm over single numbers."""

    def __init__(self, n_in, n_out):
        super().__init__(nn.Flatten(), nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.Linear(8, n_out))


class Pixels(nn.Sequential):
    """BatchNorm over 64 pixels: one image is enough."""

    def __init__(self, n_out):
        super().__init__(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, n_out))


class Frozen(Normed):
    """Its averages are not those of a batch."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self[2].eval()

    def train(self, mode=True):
        super().train(mode)
        self[2].eval()
        return self


def model(kind):
    return f"model._target_={__name__}.{kind.__name__}"


@pytest.mark.parametrize("given", [["model=resnet18"], [model(Normed)]], ids=["resnet18", "own"])
@pytest.mark.parametrize("batch_size", [4, 538, 1076])
def test_a_last_batch_of_one_is_refused(make_run, given, batch_size):
    """digits has 1077 training samples."""
    message = f"BatchNorm cannot train on a batch of one sample: 1077 samples in batches of {batch_size} leave one; "
    with pytest.raises(UserError, match=message + r"give data\.drop_last=true$"):
        make_run(*given, f"batch_size={batch_size}", *FAST)
    assert make_run(*given, f"batch_size={batch_size}", "data.drop_last=true", *FAST).parts.spec.n_train == 1076


@pytest.mark.parametrize("drop_last", ["true", "false"])
def test_batches_of_one_need_another_size(make_run, drop_last):
    with pytest.raises(UserError, match=r"on a batch of one sample: give a larger batch_size$"):
        make_run(model(Normed), "batch_size=1", f"data.drop_last={drop_last}", *FAST)


@pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode")  # Lightning's, of the frozen one
@pytest.mark.parametrize(
    ("given", "batch_size"),
    [
        (model(Normed), 5),
        (model(Normed), "full"),
        (model(Pixels), 4),
        (model(Pixels), 1),
        (model(Frozen), 4),
        ("model=mlp", 4),
    ],
)
def test_what_would_not_fail_is_trained(make_run, tmp_path, given, batch_size):
    run = make_run(given, f"batch_size={batch_size}", "budget.epochs=1", "budget.validations=1")
    if batch_size in (4, 5):
        assert run.train(tmp_path).status == "completed"


def test_trying_changes_nothing(make_run):
    """Neither the weights and averages nor the random numbers."""
    one, other = (make_run(model(Pixels), f"batch_size={size}", *FAST) for size in (4, 5))
    for a, b in zip(one.parts.net.state_dict().values(), other.parts.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    make_run(model(Pixels), "batch_size=5", *FAST)
    after = torch.get_rng_state()
    make_run(model(Pixels), "batch_size=4", *FAST)
    assert torch.equal(torch.get_rng_state(), after)
    assert all(module.training for module in one.parts.net.modules())


def test_dropping_is_part_of_what_a_run_is(make_run):
    def identity(*given):
        return make_run(*FAST, *given).identity

    assert identity("batch_size=4", "data.drop_last=true") != identity("batch_size=4")
    assert identity("batch_size=4", "data.drop_last=false") == identity("batch_size=4")
    assert identity("batch_size=full", "data.drop_last=true") == identity("batch_size=full")  # nothing is dropped
    assert identity("batch_size=3", "data.drop_last=true") == identity("batch_size=3")
    assert identity("batch_size=1000", "data.drop_last=true") != identity("batch_size=full")


def test_samples_are_counted_as_trained(make_run, tmp_path):
    outcome = make_run("batch_size=100", "budget.epochs=2", "data.drop_last=true").train(tmp_path)
    assert (outcome.steps, outcome.epochs, outcome.samples) == (20, 2.0, 2000)

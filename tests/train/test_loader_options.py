"""`data.num_workers` and `data.pin_memory`: how many processes read the samples changes no number."""

import multiprocessing

import pytest
import torch
from torch.utils.data import Dataset

from bakeoff.errors import UserError

from .test_resume import Noisy, Shuffles

COMMAND = ("batch_size=16", "budget.epochs=3", "optimizer=adam")


class Plain(Dataset):
    """Draws nothing. The sample `bad` holds NaN."""

    def __init__(self, bad=None):
        self.x = torch.randn(100, 5, generator=torch.Generator().manual_seed(1))
        self.targets = (self.x.sum(1) > 0).long()
        self.bad = bad

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] * float("nan" if i == self.bad else 1), int(self.targets[i])


class Takes(Plain):
    def __init__(self, num_workers=0):
        super().__init__()
        self.given = num_workers


def data(kind):
    return f"data._target_={__name__}.{kind.__name__}"


def test_processes_that_read_the_samples_change_no_number(make_run, tmp_path):
    found = [make_run(*COMMAND, data(Plain), f"+data.num_workers={n}").train(tmp_path / str(n)) for n in (0, 1, 2)]
    assert [outcome.status for outcome in found] == ["completed"] * 3
    assert found[0].metrics == found[1].metrics == found[2].metrics


def test_what_samples_draw_is_the_same_in_any_number_of_processes(make_run, tmp_path):
    runs = [make_run(*COMMAND, data(Noisy), f"+data.num_workers={n}") for n in (1, 2)]
    one, two = (run.train(tmp_path / str(i)) for i, run in enumerate(runs))
    assert one.metrics == two.metrics
    assert runs[0].identity == runs[1].identity != make_run(*COMMAND, data(Noisy)).identity


def test_each_epoch_draws_anew(make_run):
    loader = make_run(*COMMAND, data(Noisy), "+data.num_workers=1").parts.data.train_dataloader()
    epochs = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        epochs.append(torch.cat([x for x, _ in loader]))
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0].sort(0).values, epochs[1].sort(0).values)


def test_the_processes_end_with_the_run(make_run, tmp_path):
    before = set(multiprocessing.active_children())
    make_run(*COMMAND, data(Plain), "+data.num_workers=2").train(tmp_path)
    assert not set(multiprocessing.active_children()) - before


def test_pinned_memory_is_the_same_run(make_run):
    assert make_run(data(Plain), "+data.pin_memory=true").identity == make_run(data(Plain)).identity
    assert make_run(data(Plain), "+data.num_workers=0").identity == make_run(data(Plain)).identity


def test_an_argument_of_the_data_itself_is_its_own(make_run):
    parts = make_run(data(Takes), "+data.num_workers=2").parts
    assert (parts.data.dataset.given, parts.data.num_workers) == (2, 0)


def test_a_bad_sample_is_named_in_one_line(make_run, tmp_path):
    bad = int(make_run(data(Plain)).parts.data.indices["val"][9])  # not among the few that are tried
    outcome = make_run(*COMMAND, data(Plain), f"+data.bad={bad}", "+data.num_workers=2").train(tmp_path)
    assert outcome.status == "failed"
    assert "\n" not in outcome.error["message"]
    assert "holds NaN: drop it, or replace the value" in outcome.error["message"]


IN_MEMORY = "the data is held in memory, and is not loaded by a DataLoader: remove it"
REFUSED = {
    "arrays": (("+data.num_workers=2",), f"data.num_workers=2: {IN_MEMORY}"),
    "arrays, pinned": (("+data.pin_memory=true",), f"data.pin_memory=true: {IN_MEMORY}"),
    "a data module": (
        (data(Shuffles), "+data.num_workers=2"),
        "data.num_workers=2: Shuffles makes its own batches: set it in train_dataloader",
    ),
    "negative": (
        (data(Plain), "+data.num_workers=-1"),
        "data.num_workers must be a whole number >= 0, got -1",
    ),
    "text": ((data(Plain), "+data.pin_memory=on"), "data.pin_memory must be true or false, got on"),
}


@pytest.mark.parametrize(("command", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make_run, command, message):
    with pytest.raises(UserError) as raised:
        make_run(*command)
    assert str(raised.value) == message

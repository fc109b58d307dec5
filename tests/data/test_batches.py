"""Batches hold every sample once, in an order of seed and epoch; evaluation is in order."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.data import Share, ShuffledBatches
from bakeoff.data.batches import SequentialBatches
from bakeoff.data.order import epoch_order
from bakeoff.errors import UserError

from .samples import numbered, order_of


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 200),
    batch_size=st.integers(1, 250) | st.just("full"),
    seed=st.integers(0, 2**40),
    epochs=st.integers(1, 3),
    chunk=st.sampled_from([1, 300, 4 * 2**20]),
)
def test_an_epoch_holds_every_sample_once_in_an_order_of_seed_and_epoch(n, batch_size, seed, epochs, chunk):
    x, y = numbered(n, width=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.data.batches._CHUNK_BYTES", chunk)  # how much is gathered at a time changes nothing
        batches = ShuffledBatches(x, y, batch_size=batch_size, seed=seed)
        passes = [list(batches) for _ in range(epochs)]
    rows = n if batch_size == "full" else min(batch_size, n)
    for epoch, batch_list in enumerate(passes):
        assert len(batch_list) == len(batches) == -(-n // rows)
        assert [len(by) for _, by in batch_list] == [rows] * (n // rows) + [n % rows] * (n % rows > 0)
        for bx, by in batch_list:
            assert torch.equal(bx, x[by])
        expected = list(range(n)) if rows == n else epoch_order(n, seed, epoch).tolist()
        assert order_of(batch_list) == expected
        assert sorted(expected) == list(range(n))
    assert batches.epoch == epochs


def test_two_instances_with_one_seed_give_the_same_batches_whatever_the_global_state():
    orders: list[list[list[int]]] = []
    for _ in range(2):
        torch.manual_seed(len(orders))
        batches = ShuffledBatches(*numbered(50), batch_size=8, seed=3)
        orders.append([order_of(batches), order_of(batches)])
        torch.rand(7)
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]
    assert orders[0][0] != order_of(ShuffledBatches(*numbered(50), batch_size=8, seed=4))


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(ShuffledBatches(*numbered(50), batch_size=8, seed=3))
    assert torch.equal(torch.get_rng_state(), before)


def test_order_is_the_same_at_every_batch_size():
    orders = {tuple(order_of(ShuffledBatches(*numbered(50), batch_size=size, seed=0))) for size in (1, 7, 16, 49)}
    assert len(orders) == 1


def test_a_batch_of_all_samples_is_not_copied():
    x, y = numbered(10)
    ((bx, by),) = ShuffledBatches(x, y, batch_size="full", seed=0)
    assert bx is x
    assert by is y


EVALUATION_AND_FULL = {
    "evaluation": lambda x, y, **options: SequentialBatches(x, y, batch_size=4, **options),
    "full batch": lambda x, y, **options: ShuffledBatches(x, y, batch_size="full", seed=0, **options),
}


@pytest.mark.parametrize("in_inference", [False, True])
@pytest.mark.parametrize("number", [0, 1], ids=["x", "y"])
@pytest.mark.parametrize("make", EVALUATION_AND_FULL.values(), ids=EVALUATION_AND_FULL)
def test_data_that_a_net_changes_in_place_is_not_served_again(make, number, in_inference):
    batches = make(*numbered(10))
    with torch.inference_mode(in_inference):
        for batch in batches:
            batch[number].view(-1)[:2].add_(1)
        with pytest.raises(UserError, match=r"has changed its values in place: let it work on a copy"):
            iter(next(iter(batches)))


@pytest.mark.parametrize("make", EVALUATION_AND_FULL.values(), ids=EVALUATION_AND_FULL)
def test_copies_of_the_data_may_be_changed_in_place(make):
    x, y = numbered(10)
    batches = make(x, y, copies=True)
    first = [(bx.clone(), bx.add_(1)) for bx, _ in batches]
    for (before, _), (bx, _) in zip(first, batches, strict=True):
        assert torch.equal(before, bx)


def test_epoch_counts_full_passes_even_if_the_iterator_is_not_exhausted():
    source = ShuffledBatches(*numbered(9), batch_size=2, seed=0)
    iterator = iter(source)
    for _ in range(len(source) - 1):
        next(iterator)
    assert source.epoch == 0
    next(iterator)
    assert source.epoch == 1
    next(iter(source))
    assert source.epoch == 1


def test_an_epoch_can_be_set():
    batches = ShuffledBatches(*numbered(20), batch_size=4, seed=0)
    first, second = order_of(batches), order_of(batches)
    batches.set_epoch(1)
    assert order_of(batches) == second != first


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: run where torch.cuda.is_available()")
def test_batches_on_a_gpu_are_those_of_the_cpu():
    x, y = numbered(500, width=3)
    ours = ShuffledBatches(x.cuda(), y.cuda(), batch_size=16, seed=2)
    for (bx, by), (cx, cy) in zip(ours, ShuffledBatches(x, y, batch_size=16, seed=2), strict=True):
        assert bx.is_cuda
        assert torch.equal(bx.cpu(), cx)
        assert torch.equal(by.cpu(), cy)


def test_no_batch_is_kept_alive_by_the_loader():
    batches = ShuffledBatches(*numbered(50), batch_size=8, seed=0)
    assert len(copy.deepcopy(batches)) == 7
    assert set(vars(batches)) == {
        "x",
        "y",
        "n",
        "batch_size",
        "seed",
        "epoch",
        "_start",
        "_originals",
        "_copies",
        "_share",
    }


@pytest.mark.parametrize("start", [0, 1, 5, 6])
def test_a_pass_can_start_with_any_batch_and_the_next_is_whole(start):
    resumed, whole = (ShuffledBatches(*numbered(50), batch_size=8, seed=1) for _ in range(2))
    resumed.start_at(start)
    for skipped in (start, 0):
        assert order_of(resumed) == order_of(list(whole)[skipped:])
    assert resumed.epoch == 2


@pytest.mark.parametrize("batch_size", [0, 2.0, "half"])
def test_wrong_batch_size_is_named(batch_size):
    with pytest.raises(UserError, match=r"^batch_size must be"):
        ShuffledBatches(*numbered(9), batch_size=batch_size, seed=0)


@pytest.mark.parametrize(("n", "batch_size"), [(52, 8), (61, 16), (50, "full"), (51, 100), (48, 16)])
@pytest.mark.parametrize("count", [2, 4])
def test_shares_of_a_batch_are_the_batch(n, batch_size, count):
    whole = list(ShuffledBatches(*numbered(n), batch_size=batch_size, seed=3))
    shares = [ShuffledBatches(*numbered(n), batch_size=batch_size, seed=3, share=Share(r, count)) for r in range(count)]
    assert {len(share) for share in shares} == {len(whole)}
    for (x, y), *parts in zip(whole, *shares, strict=True):
        assert torch.equal(torch.cat([part[0] for part in parts]), x)
        assert torch.equal(torch.cat([part[1] for part in parts]), y)
        sizes = [len(part[0]) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("n", "batch_size"), [(50, 8), (49, 16), (5, 1), (4, 4096), (51, 100)])
@pytest.mark.parametrize("count", [2, 4])
def test_shares_of_an_evaluation_hold_each_sample_once(n, batch_size, count):
    x, y = numbered(n)
    shares = [list(SequentialBatches(x, y, batch_size=batch_size, share=Share(r, count))) for r in range(count)]
    assert len({len(batches) for batches in shares}) == 1
    assert sorted(int(label) for batches in shares for _, labels in batches for label in labels) == y.tolist()
    assert all(0 < len(labels) <= max(2, batch_size) for batches in shares for _, labels in batches)


def test_sequential_batches_are_views_in_order():
    x, y = numbered(9)
    batches = SequentialBatches(x, y, batch_size=4)
    assert len(batches) == 3
    assert order_of(batches) == order_of(batches) == list(range(9))
    assert all(bx.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for bx, _ in batches)

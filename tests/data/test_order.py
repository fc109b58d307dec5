"""The order of the data depends on seed and epoch alone."""

import pytest
import torch

from bakeoff.data.order import EpochSampler, check_seed, epoch_order
from bakeoff.errors import UserError


def test_orders_of_neighbouring_seeds_and_epochs_differ():
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(30) for epoch in range(30)}
    assert len(orders) == 900


def test_seeds_beyond_32_bits_have_orders_of_their_own():
    assert not torch.equal(epoch_order(50, 1, 0), epoch_order(50, 1 + 2**32, 0))


def test_an_order_stays_what_it_is_from_version_to_version():
    # a resumed run must see the order with which it was started
    assert epoch_order(8, 0, 0).tolist() == [4, 1, 3, 5, 0, 2, 6, 7]


def test_epoch_counts_full_passes_even_if_the_iterator_is_not_exhausted():
    sampler = EpochSampler(9, 0)
    iterator = iter(sampler)
    for _ in range(len(sampler) - 1):
        next(iterator)
    assert sampler.epoch == 0
    next(iterator)
    assert sampler.epoch == 1
    next(iter(sampler))
    assert sampler.epoch == 1


def test_a_sampler_gives_the_order_of_its_epoch():
    sampler = EpochSampler(9, 3)
    sampler.set_epoch(2)
    assert list(sampler) == epoch_order(9, 3, 2).tolist()


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_wrong_seed_is_named(seed):
    with pytest.raises(UserError, match=f"seed must be a whole number >= 0, got {seed}"):
        check_seed(seed)

"""Random states are restored to the bit, from a file that holds no pickled code."""

import random

import numpy as np
import pytest
import torch

from bakeoff.module import random_state, set_random_state


@pytest.fixture(autouse=True)
def unchanged():
    """Other tests see the random numbers that they would have."""
    before = random_state()
    yield
    set_random_state(before)


def draw():
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.normal()]  # noqa: NPY002
    return [*numbers, *torch.rand(3).tolist(), *torch.randn(3).tolist()]


def test_the_same_numbers_are_drawn_again(tmp_path):
    draw()  # leaves half of a pair of normal numbers cached
    torch.save(random_state(), tmp_path / "state")
    first = draw()
    assert draw() != first
    set_random_state(torch.load(tmp_path / "state", weights_only=True))
    assert draw() == first


def test_reading_the_state_changes_nothing():
    state = random_state()
    first = draw()
    set_random_state(state)
    random_state()
    assert draw() == first


def test_cuda_is_not_started():
    was_initialized = torch.cuda.is_initialized()
    state = random_state()
    assert torch.cuda.is_initialized() is was_initialized
    assert bool(state["cuda"]) is was_initialized


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: run where torch.cuda.is_available()")
def test_numbers_of_the_gpu_are_drawn_again():
    torch.rand(3, device="cuda")
    state = random_state()
    first = torch.rand(3, device="cuda")
    set_random_state(state)
    assert torch.equal(torch.rand(3, device="cuda"), first)

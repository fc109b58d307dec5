"""The lists of a step's tensors: split into blocks, every element is in one block, with its own state."""

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _step
from bakeoff.optim._tensors import Tensors

SHAPES = [(3, 5), (), (40,), (0,), (2, 4), (64,), (7,)]


def example():
    ones = [torch.zeros(shape) for shape in SHAPES]
    return Tensors(ones, [t.clone() for t in ones], {"m": [t.clone() for t in ones]}, [torch.tensor(0.0) for _ in ones])


@pytest.mark.parametrize("size", [1, 7, 16, 1000])
def test_blocks_cover_every_element_once(size):
    tensors = example()
    for block in tensors.blocks(size):
        assert sum(param.numel() for param in block.params) <= size
        for views in zip(*block.lists(), strict=True):
            assert len({view.shape for view in views}) == 1
            for view in views:
                view.add_(1)
        assert len(block.steps) == len(block.params)
    assert all((tensor == 1).all() for of_kind in tensors.lists() for tensor in of_kind)


def test_a_cut_parameter_keeps_its_step():
    tensors = example()
    steps = [block.steps[0] for block in tensors.blocks(16) if block.params[0]._base is tensors.params[2]]
    assert len(steps) == 3
    assert all(step is tensors.steps[2] for step in steps)


def test_channels_last_is_cut_as_it_lies_in_memory():
    image = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
    tensors = Tensors([image], [image], {}, [])
    found = torch.cat([block.params[0] for block in tensors.blocks(7)])
    assert torch.equal(found, image.permute(0, 2, 3, 1).reshape(-1))


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"momentum": 0.9}), ("RMSprop", {"centered": True}), ("Adam", {})]
)
def test_a_step_on_lists_does_not_depend_on_the_blocks(name, options, monkeypatch):
    ends = []
    for size in (16, 1000):
        monkeypatch.setattr(_step, "_BLOCK", size)
        generator = torch.Generator().manual_seed(0)
        params = [Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in SHAPES]
        optimizer = getattr(optim, name)(params, **options, foreach=True)
        for _ in range(3):
            for param in params:
                param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64)
            optimizer.step()
        ends.append(params)
    torch.testing.assert_close(*ends, rtol=1e-14, atol=1e-14)

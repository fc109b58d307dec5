"""Random states and the position in the data, so that a resumed training draws and sees what it would have.

Our own batches depend on seed, epoch and position alone. Another loader is brought to its position by asking it for the
batches again from the state that the random numbers had when its epoch began.
"""

from __future__ import annotations

import random
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning.pytorch.loops.fetchers import _DataFetcher

RandomState = dict[str, Any]


@runtime_checkable
class Positioned(Protocol):
    """A loader whose next pass can begin behind its first batches, at no cost."""

    def start_at(self, batch: int) -> None:
        """The next pass begins with this batch, counted from 0."""


def random_state() -> RandomState:
    """State of Python's, NumPy's and torch's random numbers, in types that `torch.load(weights_only=True)` reads."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": [version, torch.tensor(internal), gauss],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        # asking would start CUDA in a process that does not use it
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_random_state(state: RandomState) -> None:
    """Puts back what `random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


def fast_forward(fetcher: _DataFetcher, batches: int, at_start: RandomState | None) -> None:
    """Brings the data to where `batches` of this epoch have been seen.

    `at_start` is the random state at the beginning of the epoch; None for the first one, whose iterator was made as it
    was the first time. Random numbers are left as the loader leaves them.
    """
    loaders = fetcher.combined_loader.flattened
    if all(isinstance(loader, Positioned) for loader in loaders):
        for loader in loaders:
            loader.start_at(batches)
        iter(fetcher)
        return
    if at_start is not None:
        set_random_state(at_start)
        iter(fetcher)
    for _ in range(batches):
        next(fetcher)
    fetcher.fetched = 0  # Lightning adds those of before itself

"""Restores the position in the data, so that a resumed training sees the batches that it would have seen.

The order of our own batches depends on seed, epoch and position alone: they start anywhere. Any other loader is brought
to its position by drawing the batches of the epoch again, from the random state with which the epoch started.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bakeoff.module.private_api import DataFetcher
from bakeoff.module.random_states import RandomState, set_random_state


@runtime_checkable
class Resumable(Protocol):
    """A loader whose next pass can skip its first batches at no cost."""

    def start_at(self, batch: int) -> None:
        """Starts the next pass, and only that one, with this batch, counted from 0."""


def all_resumable(fetcher: DataFetcher) -> bool:
    """Whether every loader behind the fetcher can start anywhere."""
    return all(isinstance(loader, Resumable) for loader in fetcher.combined_loader.flattened)


def fast_forward(fetcher: DataFetcher, batches: int, epoch_start: RandomState | None) -> None:
    """Skips the first `batches` batches of the current epoch.

    The random numbers are left in the state in which the loader leaves them.

    Args:
        fetcher: Lightning's, over the training loader.
        batches: how many batches of the epoch were seen before the checkpoint.
        epoch_start: the random state with which the epoch started. None for the first epoch: its iterator has been
            made already, with the random state of the first time.

    """
    if all_resumable(fetcher):
        for loader in fetcher.combined_loader.flattened:
            loader.start_at(batches)
        iter(fetcher)
        return
    if epoch_start is not None:
        set_random_state(epoch_start)
        iter(fetcher)
    for _ in range(batches):
        next(fetcher)
    fetcher.fetched = 0  # Lightning adds the batches from before the checkpoint itself

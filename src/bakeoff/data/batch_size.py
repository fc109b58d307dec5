"""The batch size in a configuration: a number of samples, or the whole training set."""

from typing import Literal

from bakeoff.errors import UserError

BatchSize = int | Literal["full"]


def check_batch_size(batch_size: BatchSize, name: str = "batch_size") -> BatchSize:
    """`batch_size` unchanged; raises UserError unless it is a whole number >= 1 or "full"."""
    whole = isinstance(batch_size, int) and not isinstance(batch_size, bool)
    if batch_size != "full" and not (whole and batch_size >= 1):
        raise UserError(f'{name} must be a whole number >= 1 or "full", got {batch_size!r}')
    return batch_size


def samples_per_batch(batch_size: BatchSize, n: int) -> int:
    """Samples in a batch of a training set of `n` samples, at most `n`."""
    return n if batch_size == "full" else min(batch_size, n)


def samples_dropped(batch_size: BatchSize, n: int, drop_last: bool) -> int:
    """How many of `n` training samples an epoch leaves out with `drop_last`: those of an incomplete last batch."""
    return n % samples_per_batch(batch_size, n) if drop_last else 0

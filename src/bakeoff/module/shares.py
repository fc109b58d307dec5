"""What the processes that train one module together have to know of each other's part of a batch.

Each takes a part of a batch, of n_r samples of n, and DDP takes the plain mean of their W gradients. The mean over the
batch is that of the losses (n_r W / n) loss_r: where the parts are equal the factor is 1.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def is_shared() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def share_of_loss(loss: Tensor, samples: int) -> Tensor:
    """The mean loss of the `samples` here, weighted such that the mean over processes is that over all samples."""
    if not is_shared():
        return loss
    total = torch.tensor(float(samples), dtype=torch.float64, device=loss.device)
    dist.all_reduce(total)
    return loss * (samples * dist.get_world_size() / total).to(loss.dtype)


def mean_of_shares(loss: Tensor) -> Tensor:
    """The mean over all processes of what `share_of_loss` gave to each."""
    if not is_shared():
        return loss
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    return mean / dist.get_world_size()

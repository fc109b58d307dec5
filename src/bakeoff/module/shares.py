"""What the processes that train one module together have to know of each other's part of a batch.

Each takes a part of a batch, n_r samples of n, and DDP takes the plain mean of their W gradients. The mean over the
batch is that of the losses (n_r W / n) loss_r: where parts are equal the factor is 1. A loss that is a weighted mean
(torch's cross entropy with class weights or ignored labels) has the sums of these weights in place of n_r and n.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from bakeoff.module.counted import CountedLabels


def is_shared() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def without_empty_mean(losses: Tensor, target: Tensor, counted: CountedLabels) -> Tensor:
    """The losses; 0 where all labels of several axes are ignored: their mean is NaN, and its gradient 0."""
    if losses.ndim or target.ndim < 2 or counted.ignored is None:
        return losses
    if target.device.type == "cpu" and target.numel() and target.flatten()[0] != counted.ignored:
        return losses  # most batches say so by their first label; a GPU would be waited for
    return torch.where((target != counted.ignored).any(), losses, torch.zeros_like(losses))


def share_of_loss(losses: Tensor, target: Tensor, counted: CountedLabels) -> Tensor:
    """The mean of the losses here, weighted such that the mean over processes is that over all samples.

    Args:
        losses: of each sample, (N, ...), or their mean.
        target: the targets (N, ...) here.
        counted: what each label weighs in a mean that is a scalar.

    """
    loss = losses.mean() if losses.ndim else losses
    if not is_shared():
        return loss
    weight = None if losses.ndim or target.is_floating_point() else _weight_of(target.flatten().long(), counted)
    own = torch.tensor(float(len(target)), device=loss.device) if weight is None else weight
    own = own.to(torch.float64)
    total = own.clone()
    dist.all_reduce(total)
    weighted = loss * (own * dist.get_world_size() / total).to(loss.dtype)
    return torch.where(own > 0, weighted, torch.zeros_like(weighted))  # a mean over nothing is NaN


def _weight_of(labels: Tensor, counted: CountedLabels) -> Tensor | None:
    mask = counted.mask(labels)
    return counted.weight(labels if mask is None else labels[mask])


def mean_of_shares(loss: Tensor) -> Tensor:
    """The mean over all processes of what `share_of_loss` gave to each."""
    if not is_shared():
        return loss
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    return mean / dist.get_world_size()

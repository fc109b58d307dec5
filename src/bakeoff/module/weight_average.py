"""An exponential moving average of the weights, evaluated beside the last ones.

    w̄ <- decay w̄ + (1 - decay) w      after each optimizer step; w̄ = w after the first one

By torch's `AveragedModel` (`torch.optim.swa_utils`). Buffers of floating-point numbers, such as the running averages of
BatchNorm, are averaged too; whole numbers, and what does not change, such as a mask of -inf, are copied.
As in Tarvainen & Valpola 2017, "Mean teachers are better role models", arXiv 1703.01780.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bakeoff.module.compiled import uncompiled
from bakeoff.module.loss_parameters import copied, holds_tensors


class WeightAverage(nn.Module):
    """The average of a net's weights, and of a loss's where it is a module; a loss that holds the net gets the average.

    Args:
        net: is trained.
        loss: called with (output, target).
        decay: in (0, 1).

    """

    def __init__(self, net: nn.Module, loss: Any, decay: float) -> None:
        super().__init__()
        self._decay = decay
        self._net = AveragedModel(uncompiled(net), multi_avg_fn=get_ema_multi_avg_fn(decay))
        self._loss = AveragedModel(loss, multi_avg_fn=get_ema_multi_avg_fn(decay)) if _has_state(loss) else None
        if self._loss is not None:
            self._loss.module = copied(loss, self._averages_of(net, loss))
        elif not isinstance(loss, nn.Module) and holds_tensors(loss):
            loss = copied(loss, self._averages_of(net, loss))
        self._plain_loss = [loss]  # in a list: its tensors are the net's, and are saved there
        self.requires_grad_(False)

    def _averages_of(self, net: nn.Module, loss: Any) -> dict[int, Any]:
        """What the average has in place of the net's parts, by their ids, but for those that the loss registers."""
        own = {id(part) for part in _parts_of(loss)} if isinstance(loss, nn.Module) else set()
        pairs = zip(_parts_of(uncompiled(net)), _parts_of(self.net), strict=True)
        return {id(part): average for part, average in pairs if id(part) not in own}

    @property
    def net(self) -> nn.Module:
        """The net with the averaged weights."""
        return self._net.module

    @property
    def loss(self) -> Any:
        """The loss with the averaged parameters."""
        return self._plain_loss[0] if self._loss is None else self._loss.module

    @torch.no_grad()
    def update(self, net: nn.Module, loss: Any) -> None:
        """Takes in the weights after an optimizer step."""
        self._take_in(self._net, uncompiled(net))
        if self._loss is not None:
            self._take_in(self._loss, loss)

    def _take_in(self, average: AveragedModel, module: nn.Module) -> None:
        is_first = not average.n_averaged
        before = [buffer.clone() for buffer in average.module.buffers()]
        average.update_parameters(module)  # it copies buffers: its way to average them rounds whole numbers
        for buffer, mean in zip(average.module.buffers(), before, strict=True):
            if buffer.is_floating_point() and not is_first:
                buffer.copy_(torch.where(mean == buffer, buffer, mean.lerp(buffer, 1 - self._decay)))


def _parts_of(module: nn.Module) -> list[Any]:
    return [*module.modules(), *module.parameters(), *module.buffers()]


def _has_state(loss: Any) -> bool:
    return isinstance(loss, nn.Module) and any(True for _ in (*loss.parameters(), *loss.buffers()))

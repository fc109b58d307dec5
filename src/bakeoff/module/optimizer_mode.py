"""Optimizers with two sets of weights: those at which gradients are taken, and those to be used.

Schedule-free optimizers (Defazio et al. 2024, arXiv 2405.15682) take gradients at y and give x; `optimizer.eval()` puts
x into the parameters, `optimizer.train()` puts y back. Each is to be called once a change: twice in a row may not be
the same as once. An optimizer without these two methods is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class OptimizerMode:
    """Whether the weights of an optimizer are those to train or those to use; a new one is in neither mode yet.

    Args:
        optimizer: any. `switches` says whether it has the two modes.

    """

    def __init__(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        methods = (getattr(optimizer, name, None) for name in ("train", "eval"))
        self.switches = all(callable(method) for method in methods)
        self.optimizer: Any = optimizer
        self.is_training = False

    def train(self) -> None:
        """The weights at which gradients are taken."""
        if self.switches and not self.is_training:
            self.optimizer.train()
            self.is_training = True

    def eval(self) -> None:
        """The weights to validate, test and give to users."""
        if self.switches and self.is_training:
            self.optimizer.eval()
            self.is_training = False

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it the weights are those to use; behind it every bit is as it was before.

        To compute y from x rounds: a training that writes a checkpoint here, and one that does not, would part.
        """
        was_training, kept = self.is_training, [(tensor, tensor.clone()) for tensor in self._tensors()]
        self.eval()
        try:
            yield
        finally:
            if was_training:
                self.train()
            with torch.no_grad():
                for tensor, value in kept:
                    tensor.copy_(value)

    def _tensors(self) -> list[Tensor]:
        parameters = [p.detach() for group in self.optimizer.param_groups for p in group["params"]]
        states = [t for state in self.optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
        return parameters + states

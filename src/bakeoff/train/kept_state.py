"""What a LightningModule of the user's own keeps beside its weights, so that its run resumes to the bit.

Lightning saves weights, optimizers and schedules. Beside them a module may have numbers as attributes, states of
torchmetrics, means over an epoch under way (`self.log(..., on_epoch=True)`) and, where it makes its steps itself,
gradients of several batches.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torchmetrics import Metric

from bakeoff.module.fallback import overrides
from bakeoff.module.logged_values import add_epoch_sums, epoch_sums
from bakeoff.train.plain import is_plain


class KeptState(pl.Callback):
    """Saves that with every checkpoint, and puts it back before training continues.

    Public attributes that are numbers or texts, or lists and dictionaries of them, are saved where training has changed
    them, unless the module has `on_save_checkpoint`.
    """

    def __init__(self) -> None:
        self._resumed: Mapping[str, Any] = {}
        self._waiting: Mapping[str, Mapping[str, Tensor]] = {}  # sums that the next batch is added to

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Before a checkpoint is loaded."""
        self._trainer, self._module = trainer, pl_module
        self._at_start = _plain_attributes(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """What is to be saved."""
        module, saves_itself = self._module, overrides(self._module, pl.LightningModule, "on_save_checkpoint")
        now = {} if saves_itself else _plain_attributes(module)
        changed = {name: value for name, value in now.items() if value != self._at_start.get(name, self)}
        state = {"attributes": copy.deepcopy(changed), "metrics": _metric_states(module)}
        state["sums"] = {**epoch_sums(self._trainer), **self._waiting}
        if not module.automatic_optimization:
            state["gradients"] = {n: p.grad.cpu().clone() for n, p in module.named_parameters() if p.grad is not None}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps it until everything is set up."""
        self._resumed = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts it back."""
        resumed, self._resumed = self._resumed, {}
        for name, value in resumed.get("attributes", {}).items():
            setattr(pl_module, name, value)
        _restore_metrics(pl_module, resumed.get("metrics", {}))
        parameters = dict(pl_module.named_parameters())
        for name, gradient in resumed.get("gradients", {}).items():
            parameters[name].grad = gradient.to(parameters[name])
        self._waiting = resumed.get("sums", {})

    def on_train_batch_end(self, *_: Any) -> None:
        """The batch has logged: what was added up before is added to it."""
        if self._waiting:
            self._waiting = add_epoch_sums(self._trainer, self._waiting)


def _plain_attributes(module: pl.LightningModule) -> dict[str, Any]:
    return {name: copy.deepcopy(v) for name, v in vars(module).items() if name[0] != "_" and is_plain(v)}


def _metric_states(module: pl.LightningModule) -> dict[str, dict[str, Any]]:
    """Of the torchmetrics that it holds, by their place."""
    return {
        place: {name: _to_cpu(state) for name, state in metric.metric_state.items()}
        for place, metric in module.named_modules()
        if isinstance(metric, Metric)
    }


def _restore_metrics(module: pl.LightningModule, states: Mapping[str, Mapping[str, Any]]) -> None:
    for place, metric in module.named_modules():
        for name, state in states.get(place, {}).items() if isinstance(metric, Metric) else ():
            is_list = isinstance(state, list)
            setattr(metric, name, [s.to(metric.device) for s in state] if is_list else state.to(metric.device))


def _to_cpu(state: Any) -> Any:
    return [_to_cpu(one) for one in state] if isinstance(state, list) else torch.as_tensor(state).detach().cpu().clone()
